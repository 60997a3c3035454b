use std::ops::Deref;
use std::sync::Arc;

/// A way to what all handles of a part share: borrowed on the hot path, where a shared count would cost as
/// much as the rest of the call, and owned where the caller cannot borrow.
#[derive(Debug)]
pub(crate) enum Holder<'b, T> {
    Borrowed(&'b T),
    Owned(Arc<T>),
}

impl<T> Clone for Holder<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(shared) => Self::Borrowed(shared),
            Self::Owned(shared) => Self::Owned(Arc::clone(shared)),
        }
    }
}

impl<T> Deref for Holder<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(shared) => shared,
            Self::Owned(shared) => shared,
        }
    }
}

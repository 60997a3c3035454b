use crate::error::GuardError;
use std::future::{Future, Ready, ready};

/// What to return when a guarded call has no result.
///
/// Any closure from a [`GuardError`] to a future is a fallback. It sees why there is no result and declines
/// by returning the error.
pub trait Fallback<T, E> {
    /// What it is awaited as.
    type Future: Future<Output = Result<T, GuardError<E>>>;

    /// A result in the place of the one that there is not.
    fn recover(&self, error: GuardError<E>) -> Self::Future;
}

/// The fallback that always declines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoFallback;

impl<T, E> Fallback<T, E> for NoFallback {
    type Future = Ready<Result<T, GuardError<E>>>;

    #[inline]
    fn recover(&self, error: GuardError<E>) -> Self::Future {
        ready(Err(error))
    }
}

impl<T, E, F, G> Fallback<T, E> for G
where
    G: Fn(GuardError<E>) -> F,
    F: Future<Output = Result<T, GuardError<E>>>,
{
    type Future = F;

    fn recover(&self, error: GuardError<E>) -> F {
        self(error)
    }
}

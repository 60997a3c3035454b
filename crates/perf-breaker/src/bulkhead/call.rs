use super::{Entry, Place, Shared};
use crate::error::GuardError;
use crate::holder::Holder;
use perf_core::Clock;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project_lite::pin_project! {
    /// The future of [`Bulkhead::call`](super::Bulkhead::call).
    #[must_use = "a call is made when it is awaited"]
    pub struct BulkheadCall<'b, F, K> {
        // Before the place: what the call holds is given up before another one may begin.
        #[pin]
        future: F,
        place: Option<Place<'b, K>>,
        entry: Entry<'b, K>,
        shared: Holder<'b, Shared<K>>,
    }
}

impl<'b, F, K: Clock> BulkheadCall<'b, F, K> {
    pub(super) const fn new(shared: Holder<'b, Shared<K>>, future: F) -> Self {
        Self {
            future,
            place: None,
            entry: Entry::new(),
            shared,
        }
    }
}

impl<T, E, F, K> Future for BulkheadCall<'_, F, K>
where
    F: Future<Output = Result<T, E>>,
    K: Clock,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.place.is_none() {
            *this.place = Some(ready!(this.entry.poll(this.shared, context))?);
        }
        let result = ready!(this.future.poll(context));
        *this.place = None;
        Poll::Ready(result.map_err(GuardError::Inner))
    }
}

impl<F, K> fmt::Debug for BulkheadCall<'_, F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadCall")
            .field("is_under_way", &self.place.is_some())
            .finish_non_exhaustive()
    }
}

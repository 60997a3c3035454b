use super::oneshot::Oneshot;
use crate::bulkhead::{Bulkhead, BulkheadCall};
use crate::error::GuardError;
use perf_core::{Clock, SystemClock};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a [`Bulkhead`] before a service. All services made by clones of one layer share its places.
///
/// A request reaches the service once it has a place. Readiness is waited for there, so that a service that
/// is not ready keeps no others from waiting in line.
#[derive(Clone, Debug)]
pub struct BulkheadLayer<K = SystemClock> {
    bulkhead: Bulkhead<K>,
}

impl<K> BulkheadLayer<K> {
    /// A layer before which `bulkhead` stands.
    pub const fn new(bulkhead: Bulkhead<K>) -> Self {
        Self { bulkhead }
    }
}

impl<S, K> Layer<S> for BulkheadLayer<K> {
    type Service = BulkheadService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        BulkheadService {
            inner,
            bulkhead: self.bulkhead.clone(),
        }
    }
}

/// A service behind a bulkhead, made by [`BulkheadLayer`].
#[derive(Clone, Debug)]
pub struct BulkheadService<S, K = SystemClock> {
    inner: S,
    bulkhead: Bulkhead<K>,
}

impl<S, R, K> Service<R> for BulkheadService<S, K>
where
    S: Service<R> + Clone,
    K: Clock,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = BulkheadCall<'static, Oneshot<S, R>, K>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        self.bulkhead
            .call_owned(Oneshot::new(self.inner.clone(), request))
    }
}

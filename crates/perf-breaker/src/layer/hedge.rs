use super::guard::{CloneRequest, Replay, Replayed};
use crate::hedge::{Hedge, HedgeCall};
use perf_core::{Clock, SystemClock};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Sends a request a second time when the first answer is late. All services made by clones of one layer
/// share what the [`Hedge`] has learnt.
///
/// Only for requests that may be sent twice: [`with_replay`](Self::with_replay) asks a closure which of them
/// those are. Each of the two waits until the service is ready.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{Hedge, HedgeLayer};
/// use tower_layer::Layer;
/// use tower_service::Service;
/// # #[derive(Clone)]
/// # struct Echo;
/// # impl Service<u8> for Echo {
/// #     type Response = u8;
/// #     type Error = std::io::Error;
/// #     type Future = std::future::Ready<Result<u8, std::io::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
/// #         std::task::Poll::Ready(Ok(()))
/// #     }
/// #     fn call(&mut self, request: u8) -> Self::Future {
/// #         std::future::ready(Ok(request))
/// #     }
/// # }
///
/// let mut service = HedgeLayer::new(Hedge::builder().build()?).layer(Echo);
/// assert_eq!(service.call(7).await?, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HedgeLayer<K = SystemClock, P = CloneRequest> {
    hedge: Hedge<K>,
    replay: P,
}

impl<K> HedgeLayer<K> {
    /// A layer for requests that can be cloned.
    pub const fn new(hedge: Hedge<K>) -> Self {
        Self::with_replay(hedge, CloneRequest)
    }
}

impl<K, P> HedgeLayer<K, P> {
    /// A layer that keeps copies of requests as `replay` makes them.
    pub const fn with_replay(hedge: Hedge<K>, replay: P) -> Self {
        Self { hedge, replay }
    }
}

impl<S, K, P: Clone> Layer<S> for HedgeLayer<K, P> {
    type Service = HedgeService<S, K, P>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService {
            inner,
            hedge: self.hedge.clone(),
            replay: self.replay.clone(),
        }
    }
}

/// A service that is asked a second time when it is late, made by [`HedgeLayer`].
#[derive(Clone, Debug)]
pub struct HedgeService<S, K = SystemClock, P = CloneRequest> {
    inner: S,
    hedge: Hedge<K>,
    replay: P,
}

impl<S, R, K, P> Service<R> for HedgeService<S, K, P>
where
    S: Service<R> + Clone,
    K: Clock,
    P: Replay<R> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgeCall<'static, Replayed<S, R, P>, K>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let request = Replayed::new(self.inner.clone(), request, self.replay.clone());
        self.hedge.call_owned(request)
    }
}

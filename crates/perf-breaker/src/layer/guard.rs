use super::oneshot::Oneshot;
use crate::breaker::{AnyError, Classify};
use crate::error::GuardError;
use crate::guard::{Fallback, Guard, GuardCall, MakeCall, NoFallback};
use perf_core::{Clock, SystemClock};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a [`Guard`] before a service. All services made by clones of one layer share its state.
///
/// A retry sends the request once more, so the layer needs to know how to keep a copy of it:
/// [`new`](Self::new) clones it, [`with_replay`](Self::with_replay) asks a closure, which may say that a
/// request cannot be sent twice. Each attempt waits until the service is ready.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{CircuitBreaker, Guard, GuardLayer};
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
/// let guard = Guard::builder().breaker(CircuitBreaker::new("echo")).build()?;
/// let mut service = GuardLayer::new(guard).layer(Echo);
/// assert_eq!(service.call(7).await?, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GuardLayer<C = AnyError, G = NoFallback, K = SystemClock, P = CloneRequest> {
    guard: Guard<C, G, K>,
    replay: P,
}

impl<C, G, K> GuardLayer<C, G, K> {
    /// A layer for requests that can be cloned.
    pub const fn new(guard: Guard<C, G, K>) -> Self {
        Self::with_replay(guard, CloneRequest)
    }
}

impl<C, G, K, P> GuardLayer<C, G, K, P> {
    /// A layer that keeps copies of requests as `replay` makes them.
    pub const fn with_replay(guard: Guard<C, G, K>, replay: P) -> Self {
        Self { guard, replay }
    }
}

/// How to keep a copy of a request for another attempt. Any closure `Fn(&R) -> Option<R>` does.
pub trait Replay<R> {
    /// The copy, or `None` for a request that cannot be sent twice.
    fn replay(&self, request: &R) -> Option<R>;
}

/// Keeps a clone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloneRequest;

impl<R: Clone> Replay<R> for CloneRequest {
    #[inline]
    fn replay(&self, request: &R) -> Option<R> {
        Some(request.clone())
    }
}

impl<R, F: Fn(&R) -> Option<R>> Replay<R> for F {
    fn replay(&self, request: &R) -> Option<R> {
        self(request)
    }
}

impl<S, C, G, K, P: Clone> Layer<S> for GuardLayer<C, G, K, P> {
    type Service = GuardService<S, C, G, K, P>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService {
            inner,
            guard: self.guard.clone(),
            replay: self.replay.clone(),
        }
    }
}

/// A service behind a guard, made by [`GuardLayer`].
#[derive(Clone, Debug)]
pub struct GuardService<S, C = AnyError, G = NoFallback, K = SystemClock, P = CloneRequest> {
    inner: S,
    guard: Guard<C, G, K>,
    replay: P,
}

impl<S, R, C, G, K, P> Service<R> for GuardService<S, C, G, K, P>
where
    S: Service<R> + Clone,
    C: Classify<S::Response, S::Error> + 'static,
    G: Fallback<S::Response, S::Error> + 'static,
    K: Clock,
    P: Replay<R> + Clone,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = GuardCall<'static, Replayed<S, R, P>, C, G, K, G::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let request = Replayed::new(self.inner.clone(), request, self.replay.clone());
        self.guard.call_owned(request)
    }
}

/// A request that is sent once for each attempt.
#[derive(Debug)]
pub struct Replayed<S, R, P> {
    service: S,
    /// `None` once it has been sent and no copy could be kept.
    request: Option<R>,
    replay: P,
}

impl<S, R, P> Replayed<S, R, P> {
    #[inline]
    pub(super) const fn new(service: S, request: R, replay: P) -> Self {
        Self {
            service,
            request: Some(request),
            replay,
        }
    }
}

impl<S, R, P> MakeCall for Replayed<S, R, P>
where
    S: Service<R> + Clone,
    P: Replay<R>,
{
    type Future = Oneshot<S, R>;

    #[inline]
    fn make(&mut self) -> Self::Future {
        let request = self
            .request
            .take()
            .expect("who makes another attempt asks first whether there is one");
        self.request = self.replay.replay(&request);
        Oneshot::new(self.service.clone(), request)
    }

    fn can_repeat(&self) -> bool {
        self.request.is_some()
    }
}

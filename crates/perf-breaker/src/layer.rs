//! The breaker, the bulkhead, the guard and its relatives as tower layers.

mod bulkhead;
mod guard;
mod hedge;
mod oneshot;
mod shed;

use crate::breaker::{AnyError, Call, CircuitBreaker, Classify};
use crate::error::{GuardError, Rejection};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

pub use bulkhead::{BulkheadLayer, BulkheadService};
pub use guard::{CloneRequest, GuardLayer, GuardService, Replay, Replayed};
pub use hedge::{HedgeLayer, HedgeService};
pub use oneshot::Oneshot;
pub use shed::{AdaptiveLimitLayer, AdaptiveLimitService, ThrottleLayer, ThrottleService};

/// Puts a [`CircuitBreaker`] before a service.
///
/// All services made by clones of one layer share its breaker: a router that clones its service for each
/// connection still has one breaker, not one a connection. A refused request never reaches the service.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{CircuitBreaker, CircuitBreakerLayer, GuardError, Hold};
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
/// let breaker = CircuitBreaker::new("echo");
/// let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(Echo);
/// assert_eq!(service.call(7).await?, 7);
/// breaker.hold(Hold::Open);
/// assert!(matches!(service.call(7).await, Err(GuardError::Rejected(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CircuitBreakerLayer<C = AnyError> {
    breaker: CircuitBreaker<C>,
}

impl<C> CircuitBreakerLayer<C> {
    /// A layer before which `breaker` stands.
    pub const fn new(breaker: CircuitBreaker<C>) -> Self {
        Self { breaker }
    }
}

impl<S, C: Clone> Layer<S> for CircuitBreakerLayer<C> {
    type Service = CircuitBreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService {
            inner,
            breaker: self.breaker.clone(),
        }
    }
}

/// A service behind a breaker, made by [`CircuitBreakerLayer`].
#[derive(Clone, Debug)]
pub struct CircuitBreakerService<S, C = AnyError> {
    inner: S,
    breaker: CircuitBreaker<C>,
}

impl<S, C, R> Service<R> for CircuitBreakerService<S, C>
where
    S: Service<R>,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = ResponseFuture<S::Future, C>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let reply = match self.breaker.admit_owned() {
            Ok(permit) => Reply::Admitted {
                call: self.breaker.call_admitted(permit, self.inner.call(request)),
            },
            Err(rejection) => Reply::Refused {
                rejection: Some(rejection),
            },
        };
        ResponseFuture { reply }
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`CircuitBreakerService`].
    ///
    /// # Panics
    ///
    /// Polling it again after it has completed panics.
    #[must_use = "a call is made when it is awaited"]
    pub struct ResponseFuture<F, C> {
        #[pin]
        reply: Reply<F, C>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Reply<F, C> {
        Admitted {
            #[pin]
            call: Call<'static, F, C>,
        },
        Refused { rejection: Option<Rejection> },
    }
}

impl<T, E, F, C> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().reply.project() {
            Projected::Admitted { call } => call.poll(context),
            Projected::Refused { rejection } => {
                let rejection = rejection
                    .take()
                    .expect("a response must not be polled after it has completed");
                Poll::Ready(Err(rejection.into()))
            }
        }
    }
}

impl<F, C> fmt::Debug for ResponseFuture<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reply {
            Reply::Admitted { call } => call.fmt(f),
            Reply::Refused { rejection } => f.debug_tuple("Refused").field(rejection).finish(),
        }
    }
}

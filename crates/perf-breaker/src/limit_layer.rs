//! A limiter as a tower layer for requests of any kind.

use crate::error::GuardError;
use crate::limiter::Decision;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a limiter before a service: a closure that decides on each request.
///
/// A denied request never reaches the service. Nothing is allocated. The closure holds the limiter, which
/// all clones of the layer and of its services thereby share.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{GuardError, KeyedLimiter, RateLimitLayer};
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use tower::{Layer, Service, service_fn};
///
/// let limiter = Arc::new(KeyedLimiter::new(&"1/minute".parse()?, 1_000)?);
/// let layer = RateLimitLayer::new(move |customer: &&str| limiter.check(customer));
/// let mut service = layer.layer(service_fn(async |name| Ok::<_, Infallible>(name)));
/// assert_eq!(service.call("alice").await?, "alice");
/// assert!(matches!(service.call("alice").await, Err(GuardError::RateLimited(_))));
/// assert_eq!(service.call("bob").await?, "bob");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RateLimitLayer<D> {
    decide: D,
}

impl<D> RateLimitLayer<D> {
    /// A layer that asks `decide` of every request.
    pub const fn new(decide: D) -> Self {
        Self { decide }
    }
}

impl<S, D: Clone> Layer<S> for RateLimitLayer<D> {
    type Service = RateLimitService<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService {
            inner,
            decide: self.decide.clone(),
        }
    }
}

/// A service behind a limiter, made by [`RateLimitLayer`].
#[derive(Clone, Copy, Debug)]
pub struct RateLimitService<S, D> {
    inner: S,
    decide: D,
}

impl<S, D, R> Service<R> for RateLimitService<S, D>
where
    S: Service<R>,
    D: Fn(&R) -> Decision,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = RateLimitFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let decision = (self.decide)(&request);
        let reply = if decision.is_allowed() {
            Reply::Admitted {
                call: self.inner.call(request),
            }
        } else {
            Reply::Denied { decision }
        };
        RateLimitFuture { reply }
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`RateLimitService`].
    #[derive(Debug)]
    #[must_use = "a call is made when it is awaited"]
    pub struct RateLimitFuture<F> {
        #[pin]
        reply: Reply<F>,
    }
}

pin_project_lite::pin_project! {
    #[derive(Debug)]
    #[project = Projected]
    enum Reply<F> {
        Admitted {
            #[pin]
            call: F,
        },
        Denied { decision: Decision },
    }
}

impl<T, E, F> Future for RateLimitFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, GuardError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().reply.project() {
            Projected::Admitted { call } => call.poll(context).map_err(GuardError::Inner),
            Projected::Denied { decision } => Poll::Ready(Err(GuardError::RateLimited(*decision))),
        }
    }
}

//! The two layers that refuse what would be too much: by what was lately accepted, and by how many calls are
//! under way.

use crate::adaptive::{AdaptiveLimit, Gradient, LimitPolicy, Slot};
use crate::breaker::{AnyError, Classify};
use crate::error::GuardError;
use crate::judged::JudgedCall;
use crate::throttle::{Allowance, Throttle};
use perf_core::{Clock, SystemClock};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a [`Throttle`] before a service. All services made by clones of one layer share its counts.
#[derive(Clone, Debug)]
pub struct ThrottleLayer<C = AnyError, K = SystemClock> {
    throttle: Throttle<K>,
    classify: C,
}

impl<K> ThrottleLayer<AnyError, K> {
    /// A layer that takes every error for a refusal by the callee.
    pub const fn new(throttle: Throttle<K>) -> Self {
        Self::with_classify(throttle, AnyError)
    }
}

impl<C, K> ThrottleLayer<C, K> {
    /// A layer that judges responses as [`Throttle::call_judged`] does.
    pub const fn with_classify(throttle: Throttle<K>, classify: C) -> Self {
        Self { throttle, classify }
    }
}

impl<S, C: Clone, K> Layer<S> for ThrottleLayer<C, K> {
    type Service = ThrottleService<S, C, K>;

    fn layer(&self, inner: S) -> Self::Service {
        ThrottleService {
            inner,
            layer: Self::with_classify(self.throttle.clone(), self.classify.clone()),
        }
    }
}

/// A service behind a throttle, made by [`ThrottleLayer`].
#[derive(Clone, Debug)]
pub struct ThrottleService<S, C = AnyError, K = SystemClock> {
    inner: S,
    layer: ThrottleLayer<C, K>,
}

impl<S, C, K, R> Service<R> for ThrottleService<S, C, K>
where
    S: Service<R>,
    C: Classify<S::Response, S::Error> + Clone,
    K: Clock,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = JudgedCall<S::Future, C, Allowance<'static, K>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let classify = self.layer.classify.clone();
        match self.layer.throttle.admit_owned() {
            Ok(pass) => JudgedCall::admitted(self.inner.call(request), classify, pass),
            Err(overload) => JudgedCall::refused(overload),
        }
    }
}

/// Puts an [`AdaptiveLimit`] before a service. All services made by clones of one layer share the limit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{AdaptiveLimit, AdaptiveLimitLayer, Gradient};
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
/// let limit = AdaptiveLimit::new("echo", Gradient::between(5, 200)?);
/// let mut service = AdaptiveLimitLayer::new(limit).layer(Echo);
/// assert_eq!(service.call(7).await?, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AdaptiveLimitLayer<C = AnyError, P = Gradient, K = SystemClock> {
    limit: AdaptiveLimit<P, K>,
    classify: C,
}

impl<P, K> AdaptiveLimitLayer<AnyError, P, K> {
    /// A layer that takes every error for one that overload explains.
    pub const fn new(limit: AdaptiveLimit<P, K>) -> Self {
        Self::with_classify(limit, AnyError)
    }
}

impl<C, P, K> AdaptiveLimitLayer<C, P, K> {
    /// A layer that judges responses as [`AdaptiveLimit::call_judged`] does.
    pub const fn with_classify(limit: AdaptiveLimit<P, K>, classify: C) -> Self {
        Self { limit, classify }
    }
}

impl<C: Clone, P, K> Clone for AdaptiveLimitLayer<C, P, K> {
    fn clone(&self) -> Self {
        Self::with_classify(self.limit.clone(), self.classify.clone())
    }
}

impl<S, C: Clone, P, K> Layer<S> for AdaptiveLimitLayer<C, P, K> {
    type Service = AdaptiveLimitService<S, C, P, K>;

    fn layer(&self, inner: S) -> Self::Service {
        AdaptiveLimitService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind an adaptive limit, made by [`AdaptiveLimitLayer`].
#[derive(Debug)]
pub struct AdaptiveLimitService<S, C = AnyError, P = Gradient, K = SystemClock> {
    inner: S,
    layer: AdaptiveLimitLayer<C, P, K>,
}

impl<S: Clone, C: Clone, P, K> Clone for AdaptiveLimitService<S, C, P, K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            layer: self.layer.clone(),
        }
    }
}

impl<S, C, P, K, R> Service<R> for AdaptiveLimitService<S, C, P, K>
where
    S: Service<R>,
    C: Classify<S::Response, S::Error> + Clone,
    P: LimitPolicy,
    K: Clock,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = JudgedCall<S::Future, C, Slot<'static, P, K>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        let classify = self.layer.classify.clone();
        match self.layer.limit.admit_owned() {
            Ok(pass) => JudgedCall::admitted(self.inner.call(request), classify, pass),
            Err(overload) => JudgedCall::refused(overload),
        }
    }
}

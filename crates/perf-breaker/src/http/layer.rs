use super::headers::{Policies, set_headers};
use super::keys::KeyExtractor;
use super::problem::too_many_requests;
use crate::limiter::{Decision, KeyedLimiter, RateLimiter};
use crate::quota::Quota;
use crate::shared::SharedLimiter;
use ::http::{HeaderMap, Request, Response};
use perf_core::Clock;
use std::fmt;
use std::future::{Future, Pending};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// A limiter that a [`LimitLayer`] can ask.
pub trait Admit: Send + Sync + 'static {
    /// A decision that takes a while.
    type Decide: Future<Output = Decision> + Send;

    /// Decides on one call of `key`.
    fn admit(self: &Arc<Self>, key: &[u8]) -> Answer<Self::Decide>;

    /// The quota in force.
    fn quota(&self) -> Quota;

    /// Whether the quota in force is this one. Each call asks that, and most limiters know it without a copy.
    fn is_under(&self, quota: &Quota) -> bool {
        self.quota() == *quota
    }
}

/// A decision, now or later.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer<F> {
    /// It is made.
    Now(Decision),
    /// It has to be waited for.
    Later(F),
}

impl<K: Clock> Admit for RateLimiter<K> {
    type Decide = Pending<Decision>;

    fn admit(self: &Arc<Self>, _key: &[u8]) -> Answer<Self::Decide> {
        Answer::Now(self.check())
    }

    fn quota(&self) -> Quota {
        self.quota()
    }
}

impl<K: Clock> Admit for KeyedLimiter<K> {
    type Decide = Pending<Decision>;

    fn admit(self: &Arc<Self>, key: &[u8]) -> Answer<Self::Decide> {
        Answer::Now(self.check(key))
    }

    fn quota(&self) -> Quota {
        self.quota()
    }

    fn is_under(&self, quota: &Quota) -> bool {
        self.is_under(quota)
    }
}

impl Admit for SharedLimiter {
    type Decide = Pin<Box<dyn Future<Output = Decision> + Send>>;

    fn admit(self: &Arc<Self>, key: &[u8]) -> Answer<Self::Decide> {
        let (limiter, key) = (Arc::clone(self), Box::<[u8]>::from(key));
        Answer::Later(Box::pin(async move { limiter.check(key).await }))
    }

    fn quota(&self) -> Quota {
        self.quota()
    }
}

/// Puts a limiter before an HTTP service. Fit for axum's routers: it answers denied requests itself and
/// adds no error.
///
/// All services made by clones of one layer share its limiter.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{HeaderName, Request, Response};
/// use perf_breaker::KeyedLimiter;
/// use perf_breaker::http::{HeaderKey, LimitLayer};
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use tower::{Layer, Service, service_fn};
///
/// let limiter = Arc::new(KeyedLimiter::new(&"1/minute".parse()?, 1_000)?);
/// let layer = LimitLayer::new(limiter, HeaderKey::new(HeaderName::from_static("x-api-key")));
/// let mut service = layer.layer(service_fn(async |_: Request<()>| {
///     Ok::<_, Infallible>(Response::new(String::from("hello")))
/// }));
/// assert_eq!(service.call(Request::new(())).await?.status(), 200);
/// assert_eq!(service.call(Request::new(())).await?.status(), 429);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LimitLayer<L, X> {
    asked: Arc<Asked<L>>,
    extractor: X,
}

/// A limiter, and what responses say of it unless its quota is changed.
#[derive(Debug)]
struct Asked<L> {
    limiter: Arc<L>,
    policies: Policies,
}

impl<L: Admit> Asked<L> {
    fn describe(&self, headers: &mut HeaderMap, decision: &Decision) {
        if self.limiter.is_under(&self.policies.quota) {
            self.policies.set(headers, decision);
        } else {
            set_headers(headers, &self.limiter.quota(), decision);
        }
    }
}

impl<L: Admit, X> LimitLayer<L, X> {
    /// A layer that asks `limiter` for the key that `extractor` finds.
    pub fn new(limiter: Arc<L>, extractor: X) -> Self {
        let policies = Policies::of(limiter.quota());
        Self {
            asked: Arc::new(Asked { limiter, policies }),
            extractor,
        }
    }
}

impl<L, X: Clone> Clone for LimitLayer<L, X> {
    fn clone(&self) -> Self {
        Self {
            asked: Arc::clone(&self.asked),
            extractor: self.extractor.clone(),
        }
    }
}

impl<S, L, X: Clone> Layer<S> for LimitLayer<L, X> {
    type Service = LimitService<S, L, X>;

    fn layer(&self, inner: S) -> Self::Service {
        LimitService {
            inner,
            asked: Arc::clone(&self.asked),
            extractor: self.extractor.clone(),
        }
    }
}

/// An HTTP service behind a limiter, made by [`LimitLayer`].
#[derive(Debug)]
pub struct LimitService<S, L, X> {
    inner: S,
    asked: Arc<Asked<L>>,
    extractor: X,
}

impl<S: Clone, L, X: Clone> Clone for LimitService<S, L, X> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            asked: Arc::clone(&self.asked),
            extractor: self.extractor.clone(),
        }
    }
}

impl<S, L, X, B, C> Service<Request<B>> for LimitService<S, L, X>
where
    S: Service<Request<B>, Response = Response<C>> + Clone,
    L: Admit,
    X: KeyExtractor<B>,
    C: From<String>,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = LimitFuture<S, L, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let key = self.extractor.key(&request);
        let limiter = &self.asked.limiter;
        let stage = match limiter.admit(key.as_ref().map_or(&[], AsRef::as_ref)) {
            Answer::Now(decision) if decision.is_allowed() => Stage::Calling {
                call: self.inner.call(request),
                decision,
            },
            Answer::Now(decision) => Stage::Denied { decision },
            Answer::Later(decide) => {
                // The service that is ready goes along; the clone has yet to become so.
                let clone = self.inner.clone();
                let service = mem::replace(&mut self.inner, clone);
                let request = Some(request);
                Stage::Deciding {
                    decide,
                    service,
                    request,
                }
            }
        };
        LimitFuture {
            stage,
            asked: Arc::clone(&self.asked),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a [`LimitService`].
    ///
    /// # Panics
    ///
    /// Polling it again after it has completed panics.
    #[must_use = "a call is made when it is awaited"]
    pub struct LimitFuture<S, L, B>
    where
        S: Service<Request<B>>,
        L: Admit,
    {
        #[pin]
        stage: Stage<S, L::Decide, S::Future, B>,
        asked: Arc<Asked<L>>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Stage<S, D, F, B> {
        Deciding {
            #[pin]
            decide: D,
            service: S,
            request: Option<Request<B>>,
        },
        Calling {
            #[pin]
            call: F,
            decision: Decision,
        },
        Denied { decision: Decision },
    }
}

impl<S, L, B, C> Future for LimitFuture<S, L, B>
where
    S: Service<Request<B>, Response = Response<C>>,
    L: Admit,
    C: From<String>,
{
    type Output = Result<Response<C>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                Projected::Deciding {
                    decide,
                    service,
                    request,
                } => {
                    let decision = ready!(decide.poll(context));
                    let request = request.take();
                    let request = request.expect("a request is taken once, with the decision");
                    if decision.is_allowed() {
                        let call = service.call(request);
                        Stage::Calling { call, decision }
                    } else {
                        Stage::Denied { decision }
                    }
                }
                Projected::Calling { call, decision } => {
                    let mut response = ready!(call.poll(context))?;
                    this.asked.describe(response.headers_mut(), decision);
                    return Poll::Ready(Ok(response));
                }
                Projected::Denied { decision } => {
                    let response = too_many_requests(&this.asked.limiter.quota(), decision);
                    return Poll::Ready(Ok(response));
                }
            };
            this.stage.set(next);
        }
    }
}

impl<S, L, B> fmt::Debug for LimitFuture<S, L, B>
where
    S: Service<Request<B>>,
    L: Admit,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Deciding { .. } => "Deciding",
            Stage::Calling { .. } => "Calling",
            Stage::Denied { .. } => "Denied",
        };
        f.debug_tuple("LimitFuture").field(&stage).finish()
    }
}

use super::{Options, TimedBody};
use crate::RequestScope;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::Body;
use perf_core::Moment;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// The service that a [`TimingLayer`](super::TimingLayer) makes.
#[derive(Clone, Debug)]
pub struct Timed<S> {
    inner: S,
    options: Arc<Options>,
}

impl<S> Timed<S> {
    pub(super) const fn new(inner: S, options: Arc<Options>) -> Self {
        Self { inner, options }
    }
}

impl<S, I, O> Service<Request<I>> for Timed<S>
where
    S: Service<Request<I>, Response = Response<O>>,
    O: Body,
{
    type Response = Response<TimedBody<O>>;
    type Error = S::Error;
    type Future = TimedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let started = self.options.now();
        let (parts, body) = request.into_parts();
        let scope = RequestScope::new(&(self.options.name)(&parts));
        let request = Request::from_parts(parts, body);
        let future = scope.in_scope(|| self.inner.call(request));
        TimedFuture {
            future,
            scope,
            started,
            options: Arc::clone(&self.options),
        }
    }
}

pin_project! {
    /// A response to come, inside its request.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TimedFuture<F> {
        #[pin]
        future: F,
        scope: RequestScope,
        started: Moment,
        options: Arc<Options>,
    }
}

impl<F, O, E> Future for TimedFuture<F>
where
    F: Future<Output = Result<Response<O>, E>>,
    O: Body,
{
    type Output = Result<Response<TimedBody<O>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let output = this.scope.in_scope(|| this.future.poll(context));
        output.map_ok(|mut response| {
            this.options.tell(response.headers_mut(), *this.started);
            response.map(|body| TimedBody::new(body, this.scope.clone()))
        })
    }
}

impl Options {
    fn now(&self) -> Moment {
        self.profiler.shared().settings.clock.now()
    }

    fn tell(&self, headers: &mut HeaderMap, started: Moment) {
        let elapsed = self.now().since(started);
        let millis = elapsed.as_secs_f64() * 1e3;
        if self.headers {
            set(headers, "x-process-time", &process_time(elapsed));
            set(headers, "x-response-time", &format!("{millis:.3}ms"));
        }
        if self.server_timing {
            set(headers, "server-timing", &format!("app;dur={millis:.3}"));
        }
    }
}

fn process_time(elapsed: Duration) -> String {
    format!("{:.6}", elapsed.as_secs_f64())
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Digits and letters are always valid.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(HeaderName::from_static(name), value);
    }
}

use super::{Naming, Options, TimedBody};
use crate::RequestScope;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use perf_core::Moment;
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
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
        let started = self.options.is_timed().then(|| self.options.now());
        let (parts, body) = request.into_parts();
        let scope = self.options.naming.scope(&parts);
        let request = Request::from_parts(parts, body);
        let future = scope.in_scope(|| self.inner.call(request));
        TimedFuture {
            future,
            scope: Some(scope),
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
        // Goes on to the body.
        scope: Option<RequestScope>,
        started: Option<Moment>,
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
        let output = match this.scope {
            Some(scope) => scope.in_scope(|| this.future.poll(context)),
            None => this.future.poll(context),
        };
        let mut output = ready!(output);
        if let Some(started) = *this.started {
            this.options.judge(&mut output, started);
        }
        let scope = this.scope.take();
        Poll::Ready(output.map(|response| response.map(|body| TimedBody::new(body, scope))))
    }
}

thread_local! {
    /// Room for names, which are made of two parts each time and kept once.
    static NAME: Cell<String> = const { Cell::new(String::new()) };
}

impl Naming {
    /// The request that begins with this head.
    fn scope(&self, head: &Parts) -> RequestScope {
        let route = match self {
            Self::Head(name) => return RequestScope::new(&name(head)),
            Self::Route(route) => route(head).unwrap_or("elsewhere"),
        };
        let mut name = NAME.take();
        name.clear();
        name.push_str(head.method.as_str());
        name.push(' ');
        name.push_str(route);
        let scope = RequestScope::new(&name);
        NAME.set(name);
        scope
    }
}

impl Options {
    /// Whether anybody asks how long a response took to its head.
    const fn is_timed(&self) -> bool {
        self.headers || self.server_timing || self.monitor.is_some()
    }

    fn now(&self) -> Moment {
        self.profiler.shared().settings.clock.now()
    }

    /// Tells whoever asks how long it took.
    fn judge<O, E>(&self, output: &mut Result<Response<O>, E>, started: Moment) {
        let elapsed = self.now().since(started);
        if let Some(monitor) = &self.monitor {
            let failed = |response: &Response<O>| response.status().is_server_error();
            monitor.record(elapsed, output.as_ref().map_or(true, failed));
        }
        if let Ok(response) = output {
            self.tell(response.headers_mut(), elapsed);
        }
    }

    fn tell(&self, headers: &mut HeaderMap, elapsed: Duration) {
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

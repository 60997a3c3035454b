//! Requests over HTTP.
//!
//! A request is not over when its handler returns: a streamed body may run queries for minutes after.
//! The scope of a [`TimingLayer`] therefore lasts until the body has ended or has been dropped, and so do
//! its latency and its findings. The headers, which go out first, tell the time to the head alone.

mod body;
mod service;

use crate::{Profiler, SloMonitor};
use http::request::Parts;
use std::fmt;
use std::sync::Arc;
use tower_layer::Layer;

pub use body::TimedBody;
pub use service::{Timed, TimedFuture};

/// Makes a [`RequestScope`](crate::RequestScope) of each request that passes, and tells its time.
///
/// By default a request is named after method and path. Where paths hold identifiers, name it after its
/// route, or the names run into their limit and share `"<other>"`.
///
/// ```
/// use perf_profile::{Profiler, TimingLayer};
///
/// let profiler = Profiler::builder().build();
/// let layer = TimingLayer::new(&profiler)
///     .with_headers()
///     .name_by(|request| format!("{} /flights/:id", request.method));
/// # let _: TimingLayer = layer;
/// ```
#[derive(Clone)]
pub struct TimingLayer {
    options: Arc<Options>,
}

#[derive(Clone)]
struct Options {
    profiler: Profiler,
    headers: bool,
    server_timing: bool,
    monitor: Option<SloMonitor>,
    naming: Naming,
}

/// How requests get their names.
#[derive(Clone)]
enum Naming {
    Head(Arc<dyn Fn(&Parts) -> String + Send + Sync>),
    Route(Arc<Route>),
}

/// What stands for the route of a request.
type Route = dyn Fn(&Parts) -> Option<&str> + Send + Sync;

impl TimingLayer {
    /// Names requests after method and path, and adds no headers.
    #[must_use]
    pub fn new(profiler: &Profiler) -> Self {
        Self {
            options: Arc::new(Options {
                profiler: profiler.clone(),
                headers: false,
                server_timing: false,
                monitor: None,
                naming: Naming::Route(Arc::new(|parts| Some(parts.uri.path()))),
            }),
        }
    }

    /// Adds `X-Process-Time` (seconds) and `X-Response-Time` (milliseconds, as `12.345ms`).
    ///
    /// Off by default: how long a login takes may tell whether the user exists.
    #[must_use]
    pub fn with_headers(self) -> Self {
        self.change(|options| options.headers = true)
    }

    /// Adds `Server-Timing`, which browsers show beside the request.
    #[must_use]
    pub fn with_server_timing(self) -> Self {
        self.change(|options| options.server_timing = true)
    }

    /// Has `monitor` judge the responses: each took from its request to its head, and failed if its status is 500 or
    /// more or there is none.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::{Request, Response};
    /// use perf_profile::{Profiler, SloMonitor, TimingLayer};
    /// use tower::{Layer, Service, service_fn};
    ///
    /// let monitor = SloMonitor::builder("api").build();
    /// let layer = TimingLayer::new(&Profiler::builder().build()).judged_by(&monitor);
    /// let mut service = layer.layer(service_fn(async |_: Request<()>| {
    ///     Response::builder().status(503).body(String::new())
    /// }));
    /// service.call(Request::new(())).await?;
    /// assert_eq!((monitor.stats().requests, monitor.stats().failed), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn judged_by(self, monitor: &SloMonitor) -> Self {
        self.change(|options| options.monitor = Some(monitor.clone()))
    }

    /// Names each request by its head. With axum, its extensions hold the `MatchedPath` where the layer
    /// was added by `route_layer`.
    #[must_use]
    pub fn name_by(self, name: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        self.change(|options| options.naming = Naming::Head(Arc::new(name)))
    }

    /// Names each request by its method and what `route` finds in its head, such as `"GET /flights/{id}"`; where it finds
    /// nothing, `"GET elsewhere"`. It costs less than [`name_by`](Self::name_by), which makes a string of its own each
    /// time.
    ///
    /// ```
    /// use perf_profile::{Profiler, TimingLayer};
    ///
    /// # #[derive(Clone)]
    /// # struct MatchedPath(String);
    /// # impl MatchedPath { fn as_str(&self) -> &str { &self.0 } }
    /// let layer = TimingLayer::new(&Profiler::builder().build())
    ///     .name_by_route(|request| Some(request.extensions.get::<MatchedPath>()?.as_str()));
    /// # let _: TimingLayer = layer;
    /// ```
    #[must_use]
    pub fn name_by_route(
        self,
        route: impl Fn(&Parts) -> Option<&str> + Send + Sync + 'static,
    ) -> Self {
        self.change(|options| options.naming = Naming::Route(Arc::new(route)))
    }

    fn change(self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Arc::unwrap_or_clone(self.options);
        change(&mut options);
        Self {
            options: Arc::new(options),
        }
    }
}

impl<S> Layer<S> for TimingLayer {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed::new(inner, Arc::clone(&self.options))
    }
}

impl fmt::Debug for TimingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimingLayer")
            .field("headers", &self.headers)
            .field("server_timing", &self.server_timing)
            .finish_non_exhaustive()
    }
}

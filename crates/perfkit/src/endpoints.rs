//! What a service knows of itself, over HTTP: figures, health, metrics and a page.
//!
//! | route | answers |
//! |---|---|
//! | `GET /performance` | a page with live charts, tables, findings and a flame graph |
//! | `GET /performance/stats` | all figures as JSON |
//! | `GET /performance/flames` | the call paths of profiled functions as JSON |
//! | `GET /performance/events` | the same figures every second, as server-sent events |
//! | `GET /health/performance` | 200 or 503, and why: see [`Endpoints`] |
//! | `GET /metrics` | Prometheus text, or OpenMetrics where that is preferred |
//! | `POST /performance/actions/…` | only with a guard: see [`EndpointsBuilder::actions`] |
//!
//! Everything is read from a [`Registry`] when somebody asks, and from a profiler where one is given. The
//! service pays nothing while nobody looks, unless it is told to [`record`](Endpoints::record), and viewers of the
//! page share one reading a second. The page is three
//! files in the library: it loads nothing from elsewhere and works under a strict content security policy,
//! behind any prefix.
//!
//! Names of routes and texts of queries are not for everyone. These routes have no login of their own: serve
//! them on a port of their own, or put a layer before them.
//!
//! ```
//! use perfkit::core::Registry;
//! use perfkit::endpoints::Endpoints;
//!
//! let registry = Registry::new();
//! let endpoints = Endpoints::builder(&registry).build();
//! let app: axum::Router = axum::Router::new().merge(endpoints.router());
//! ```

mod actions;
mod assets;
#[cfg(feature = "breaker")]
mod breaker;
mod builder;
#[cfg(feature = "cache")]
mod cache;
mod exposition;
mod figures;
mod health;
mod live;
#[cfg(feature = "profile")]
mod profile;
mod report;
mod routes;
mod stats;
mod trail;

use actions::{Guard, Operable};
use axum::Router;
use live::Live;
use parking_lot::Mutex;
use perf_core::{Clock, Moment, Registry};
use report::{Problem, Source};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use trail::Trail;

pub use builder::EndpointsBuilder;

/// The routes of a service's figures. Clones share everything.
///
/// The service is *unhealthy*, and `/health/performance` answers 503, when an SLO monitor finds an objective
/// critical, or when a part that it [`requires`](EndpointsBuilder::requires) is unhealthy or gone. It is
/// *degraded*, and answers 200, when anything else is not as it should be: an open breaker is the trouble
/// of another service, and taking this one out of rotation would only spread it.
#[derive(Clone)]
pub struct Endpoints {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    clock: Arc<dyn Clock>,
    started: Moment,
    refresh: Duration,
    required: Vec<(String, String)>,
    source: Option<Arc<dyn Source>>,
    guard: Option<Guard>,
    operables: Vec<Arc<dyn Operable>>,
    live: Live,
    /// The newest reading, for viewers to share.
    newest: Mutex<Option<(Moment, Arc<str>)>>,
    trail: Mutex<Trail>,
    /// The indexes that an advisor found missing.
    advice: Mutex<Vec<Problem>>,
}

impl Endpoints {
    /// Begins to set up the routes for the parts of `registry`.
    pub fn builder(registry: &Registry) -> EndpointsBuilder {
        EndpointsBuilder::new(registry.clone())
    }

    /// The routes, to be merged into the service's own or nested below a prefix.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        routes::router(&self.shared)
    }

    /// Takes a reading at each refresh, whether somebody looks or not, so that a page which is opened late shows the last
    /// three minutes; without, it shows those that others have watched. To be spawned; it ends with
    /// [`close`](Self::close). It keeps 181 points of some 200 bytes.
    ///
    /// # Cancel safety
    ///
    /// What was recorded stays.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use perfkit::{core::Registry, endpoints::Endpoints};
    /// let endpoints = Endpoints::builder(&Registry::new()).build();
    /// let recording = endpoints.clone();
    /// let recording = tokio::spawn(async move { recording.record().await });
    /// endpoints.close();
    /// assert!(recording.await.is_ok());
    /// # }
    /// ```
    pub async fn record(&self) {
        live::record(&self.shared).await;
    }

    /// Ends every stream of events, now and later. A server that shuts down gracefully waits for its
    /// connections; those of open pages would never end by themselves.
    ///
    /// ```
    /// # use perfkit::{core::Registry, endpoints::Endpoints};
    /// # let endpoints = Endpoints::builder(&Registry::new()).build();
    /// let closing = endpoints.clone();
    /// let shutdown = async move {
    ///     // A signal is awaited here.
    ///     closing.close();
    /// };
    /// // axum::serve(listener, app).with_graceful_shutdown(shutdown)
    /// # drop(shutdown);
    /// ```
    pub fn close(&self) {
        self.shared.live.close();
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints")
            .field("registry", &self.shared.registry)
            .field("refresh", &self.shared.refresh)
            .field("actions", &self.shared.guard.is_some())
            .finish_non_exhaustive()
    }
}

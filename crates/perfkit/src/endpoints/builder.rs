use super::actions::{Guard, Operable};
use super::live::Live;
use super::report::Source;
use super::{Endpoints, Shared};
use axum::http::request::Parts;
use parking_lot::Mutex;
use perf_core::{Clock, Registry, SystemClock};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Sets up [`Endpoints`]. Every setting has a default, and none can be invalid.
#[must_use = "a builder does nothing until it is built"]
pub struct EndpointsBuilder {
    registry: Registry,
    clock: Arc<dyn Clock>,
    refresh: Duration,
    required: Vec<(String, String)>,
    pub(super) source: Option<Arc<dyn Source>>,
    guard: Option<Guard>,
    pub(super) operables: Vec<Arc<dyn Operable>>,
}

/// What a page cannot make out any more.
const FASTEST: Duration = Duration::from_millis(100);

impl EndpointsBuilder {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            clock: Arc::new(SystemClock),
            refresh: Duration::from_secs(1),
            required: Vec::new(),
            source: None,
            guard: None,
            operables: Vec::new(),
        }
    }

    /// How often the page is told new figures; at least 100 ms. Default: 1 s.
    pub fn refresh(mut self, pause: Duration) -> Self {
        self.refresh = pause.max(FASTEST);
        self
    }

    /// Names a part, such as `("pool", "database")`, without which the service cannot work.
    ///
    /// ```
    /// use perfkit::core::Registry;
    /// use perfkit::endpoints::Endpoints;
    ///
    /// let endpoints = Endpoints::builder(&Registry::new()).requires("pool", "database").build();
    /// ```
    pub fn requires(mut self, kind: impl Into<String>, name: impl Into<String>) -> Self {
        self.required.push((kind.into(), name.into()));
        self
    }

    /// Lets those act whom `guard` lets pass, by the head of their request; without a guard there are no
    /// routes for it. A page of another site cannot act through a visitor's browser: requests must carry
    /// the header `x-perfkit-action`, which such a page cannot send.
    ///
    /// The page sends what is typed into its field as a bearer token.
    ///
    /// ```
    /// use axum::http::header::AUTHORIZATION;
    /// use perfkit::core::Registry;
    /// use perfkit::endpoints::Endpoints;
    ///
    /// let endpoints = Endpoints::builder(&Registry::new())
    ///     .actions(|head| head.headers.get(AUTHORIZATION).is_some_and(|token| token == "Bearer 4711"))
    ///     .build();
    /// ```
    pub fn actions(mut self, guard: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    /// Where it reads the time. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The endpoints.
    #[must_use]
    pub fn build(self) -> Endpoints {
        Endpoints {
            shared: Arc::new(Shared {
                started: self.clock.now(),
                registry: self.registry,
                clock: self.clock,
                refresh: self.refresh,
                required: self.required,
                source: self.source,
                guard: self.guard,
                operables: self.operables,
                live: Live::new(),
                newest: Mutex::new(None),
                trail: Mutex::default(),
                advice: Mutex::default(),
            }),
        }
    }
}

impl fmt::Debug for EndpointsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointsBuilder")
            .field("registry", &self.registry)
            .field("refresh", &self.refresh)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

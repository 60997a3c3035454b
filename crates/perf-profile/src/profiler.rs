use crate::builder::{ProfilerBuilder, Settings};
use crate::error::ProfileError;
use crate::queries::{Book, RequestScope, Requests, SqlLayer, Wrapped};
use crate::runtime::Blocks;
use crate::snapshot::Snapshot;
use crate::{functions, memory, ticks};
use perf_core::Registry;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tracing::{Level, Subscriber};
use tracing_subscriber::registry::LookupSpan;

/// What a service knows about its functions, queries and requests. Clones share it.
///
/// Functions are recorded once per process, whichever profiler reads them; queries and requests belong
/// to the profiler whose layer the subscriber holds.
///
/// ```
/// use perf_profile::Profiler;
/// use tracing_subscriber::filter::LevelFilter;
/// use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};
///
/// let profiler = Profiler::builder().build();
/// tracing_subscriber::registry()
///     .with(profiler.sql_layer())
///     .with(tracing_subscriber::fmt::layer().with_filter(LevelFilter::INFO))
///     .init();
/// profiler.verify()?;
/// # Ok::<(), perf_profile::ProfileError>(())
/// ```
#[derive(Clone)]
pub struct Profiler {
    shared: Arc<Shared>,
}

/// What the layer and the handles have in common.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) book: Book,
    pub(crate) requests: Requests,
    pub(crate) blocks: Blocks,
    /// Spans by which [`Profiler::verify`] has found the layer.
    pub(crate) probes: AtomicU64,
}

/// The name of the request that asks whether the layer sees requests.
pub(crate) const PROBE: &str = "<probe>";

impl Profiler {
    /// Sets up a profiler.
    pub fn builder() -> ProfilerBuilder {
        ProfilerBuilder::new()
    }

    pub(crate) fn new(settings: Settings) -> Self {
        ticks::calibrate();
        functions::set_slow_poll(settings.slow_poll);
        functions::set_recording(true);
        Self {
            shared: Arc::new(Shared {
                requests: Requests::since(settings.clock.now()),
                settings,
                book: Book::default(),
                blocks: Blocks::default(),
                probes: AtomicU64::new(0),
            }),
        }
    }

    /// The layer to add to the process's `tracing` subscriber, right above its registry.
    ///
    /// # Panics
    ///
    /// `tracing` panics where the layer is added to something that knows no filters of layers, such as
    /// `tracing_subscriber::fmt().finish()`. Start from `tracing_subscriber::registry()`, or use
    /// [`Profiler::wrap`].
    #[must_use]
    pub fn sql_layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> SqlLayer<S> {
        SqlLayer::new(Arc::clone(&self.shared))
    }

    /// The same for a subscriber as it is: the profiler sees every statement whatever the subscriber
    /// filters, and the subscriber prints what it would have printed.
    ///
    /// ```
    /// use perf_profile::Profiler;
    /// use tracing_subscriber::util::SubscriberInitExt;
    ///
    /// let profiler = Profiler::builder().build();
    /// profiler.wrap(tracing_subscriber::fmt().with_env_filter("info").finish()).init();
    /// profiler.verify()?;
    /// # Ok::<(), perf_profile::ProfileError>(())
    /// ```
    #[must_use]
    pub fn wrap<S: Subscriber + for<'a> LookupSpan<'a>>(&self, subscriber: S) -> Wrapped<S> {
        Wrapped::new(subscriber, Arc::clone(&self.shared))
    }

    /// Checks that the process's subscriber lets this profiler see requests and queries.
    ///
    /// A connection that does not log its statements is found by [`Profiler::verify_by`].
    ///
    /// # Errors
    ///
    /// [`ProfileError::LayerNotInstalled`] without a global subscriber that holds the layer,
    /// [`ProfileError::QueryEventsDisabled`] if a filter ahead of it discards sqlx's events.
    pub fn verify(&self) -> Result<(), ProfileError> {
        // A thread of its own has no subscriber but the global one, as the threads of SQLite have.
        let probed = std::thread::scope(|scope| scope.spawn(|| self.probe()).join());
        probed.unwrap_or(Err(ProfileError::LayerNotInstalled))
    }

    fn probe(&self) -> Result<(), ProfileError> {
        let before = self.shared.probes.load(Relaxed);
        let request = RequestScope::new(PROBE);
        let blind = request.span().is_disabled() && tracing::dispatcher::has_been_set();
        if self.shared.probes.load(Relaxed) == before && !blind {
            return Err(ProfileError::LayerNotInstalled);
        }
        if blind || !is_enabled(self.shared.settings.statement_level) {
            return Err(ProfileError::QueryEventsDisabled);
        }
        Ok(())
    }

    /// As [`Profiler::verify`], and checks that the profiler sees what `query` runs, in a request named
    /// `"verification"`.
    ///
    /// # Errors
    ///
    /// As [`Profiler::verify`], and [`ProfileError::StatementsNotLogged`] if nothing was seen of it until
    /// one second after its end.
    ///
    /// # Cancel safety
    ///
    /// As that of `query`.
    pub async fn verify_by<F: Future>(&self, query: F) -> Result<F::Output, ProfileError> {
        self.verify()?;
        let scope = RequestScope::new("verification");
        let Shared {
            requests, settings, ..
        } = &*self.shared;
        let request = requests.own(scope.requests());
        let request = request.ok_or(ProfileError::LayerNotInstalled)?;
        let output = scope.run(query).await;
        let own = request.number..=request.number;
        requests
            .have_ended(own, Duration::from_secs(1), settings)
            .await;
        if request.queries() == 0 {
            return Err(ProfileError::StatementsNotLogged);
        }
        Ok(output)
    }

    /// Checks that the program's allocations are counted.
    ///
    /// # Errors
    ///
    /// [`ProfileError::AllocatorNotInstalled`] if they are not.
    pub fn verify_allocator(&self) -> Result<(), ProfileError> {
        if memory::is_installed() {
            Ok(())
        } else {
            Err(ProfileError::AllocatorNotInstalled)
        }
    }

    /// Stops the recording of functions in the whole process; calls in progress are still counted.
    ///
    /// ```
    /// use perf_profile::{Profiler, span};
    ///
    /// let profiler = Profiler::builder().build();
    /// let section = || drop(span!("section"));
    /// section();
    /// profiler.pause();
    /// section();
    /// profiler.resume();
    /// section();
    /// assert_eq!(profiler.snapshot().functions()[0].calls, 2);
    /// ```
    pub fn pause(&self) {
        functions::set_recording(false);
    }

    /// Resumes the recording of functions.
    pub fn resume(&self) {
        functions::set_recording(true);
    }

    /// Forgets all queries, requests and findings so far, and begins its time line anew. Requests that are open are
    /// forgotten as well; functions, which the process has in common, are not.
    ///
    /// ```
    /// use perf_profile::{Profiler, RequestScope};
    /// use tracing_subscriber::layer::SubscriberExt;
    ///
    /// let profiler = Profiler::builder().build();
    /// let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    /// let _guard = tracing::subscriber::set_default(subscriber);
    /// RequestScope::new("GET /flights").in_scope(|| ());
    /// assert_eq!(profiler.snapshot().requests().len(), 1);
    /// profiler.forget();
    /// assert!(profiler.snapshot().requests().is_empty());
    /// ```
    pub fn forget(&self) {
        let Shared {
            settings,
            book,
            requests,
            ..
        } = &*self.shared;
        book.forget();
        requests.forget(settings.clock.now());
    }

    /// Waits until every request that is open now has ended, at most for `limit`; tells whether they have.
    ///
    /// A database driver may still hold a request's last span for a moment after it has handed out the
    /// result. Tests and reports that must not miss the last query wait here first. Requests that begin
    /// meanwhile are not waited for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn settled(&self, limit: Duration) -> bool {
        let Shared {
            requests, settings, ..
        } = &*self.shared;
        requests.settled(limit, settings).await
    }

    /// Shows the profiler in `registry` for as long as a handle of it lives, which its layer is, too.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }

    /// All figures and findings as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.shared)
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// Whether events of sqlx's target pass at `level`. `tracing` wants each level as a constant.
fn is_enabled(level: Level) -> bool {
    match level {
        Level::TRACE => tracing::enabled!(target: "sqlx::query", Level::TRACE),
        Level::DEBUG => tracing::enabled!(target: "sqlx::query", Level::DEBUG),
        Level::INFO => tracing::enabled!(target: "sqlx::query", Level::INFO),
        Level::WARN => tracing::enabled!(target: "sqlx::query", Level::WARN),
        Level::ERROR => tracing::enabled!(target: "sqlx::query", Level::ERROR),
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler")
            .field("name", &self.shared.settings.name)
            .field("recording", &functions::is_recording())
            .finish_non_exhaustive()
    }
}

use crate::finding::Finding;
use crate::profiler::Profiler;
use crate::queries::{SlowQuery, SlowRequest};
use crate::rules::Thresholds;
use perf_core::{Clock, Dialect, SystemClock};
use std::fmt;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tracing::Level;

/// Sets up a [`Profiler`]. Every setting has a default, and none can be invalid.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct ProfilerBuilder {
    settings: Settings,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) statement_level: Level,
    pub(crate) slow_query: Duration,
    pub(crate) slow_query_log: Option<Log<SlowQuery>>,
    pub(crate) slow_poll: Duration,
    pub(crate) slow_request: Duration,
    pub(crate) slow_request_log: Option<Log<SlowRequest>>,
    pub(crate) thresholds: Thresholds,
    pub(crate) accepted: Accepted,
    pub(crate) max_statements: usize,
    pub(crate) max_request_names: usize,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Where slow things are told.
#[derive(Clone)]
pub(crate) struct Log<T>(Arc<dyn Fn(&T) + Send + Sync>);

impl<T> Log<T> {
    /// Calls it. A panic ends here: it must not unwind through `tracing` into a driver's destructor.
    pub(crate) fn tell(&self, what: &T) {
        let _panicked = catch_unwind(AssertUnwindSafe(|| (self.0)(what)));
    }
}

impl<T> fmt::Debug for Log<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Which findings are as they should be.
#[derive(Clone)]
pub(crate) struct Accepted(Arc<dyn Fn(&Finding) -> bool + Send + Sync>);

impl Accepted {
    pub(crate) fn has(&self, finding: &Finding) -> bool {
        (self.0)(finding)
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accepted")
    }
}

impl ProfilerBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings {
                name: "profiler".into(),
                dialect: Dialect::Postgres,
                statement_level: Level::DEBUG,
                slow_query: Duration::from_millis(100),
                slow_query_log: None,
                slow_poll: Duration::from_micros(100),
                slow_request: Duration::from_secs(1),
                slow_request_log: None,
                thresholds: Thresholds {
                    repeats: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
                    unexplained: Duration::from_millis(50),
                },
                accepted: Accepted(Arc::new(|_| false)),
                max_statements: 1_000,
                max_request_names: 1_000,
                clock: Arc::new(SystemClock),
            },
        }
    }

    /// The name under which a [`Registry`](perf_core::Registry) shows it. Default: `"profiler"`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Whose SQL the statements are. Default: Postgres.
    ///
    /// sqlx does not tell which database a statement went to. It matters to quotes, comments and
    /// placeholders; with `MySql`, text in double quotes is a value, which a fingerprint never keeps.
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.settings.dialect = dialect;
        self
    }

    /// The level at which the connections log their statements, for [`Profiler::verify`] to check.
    /// Default: debug, as sqlx's own.
    pub const fn statement_level(mut self, level: Level) -> Self {
        self.settings.statement_level = level;
        self
    }

    /// From when on an execution is kept as slow. Default: 100 ms.
    pub const fn slow_query(mut self, threshold: Duration) -> Self {
        self.settings.slow_query = threshold;
        self
    }

    /// Tells `log` of each slow execution, on the thread that reports it. It must not block, nor emit
    /// `tracing` events: it runs inside one. Should it panic, the execution is kept all the same.
    ///
    /// Without it, the newest 128 are kept for [`Snapshot::slow_queries`](crate::Snapshot::slow_queries)
    /// all the same.
    pub fn on_slow_query(mut self, log: impl Fn(&SlowQuery) + Send + Sync + 'static) -> Self {
        self.settings.slow_query_log = Some(Log(Arc::new(log)));
        self
    }

    /// From when on a poll of a profiled future is counted as slow, in the whole process. Default: 100 µs.
    pub const fn slow_poll(mut self, threshold: Duration) -> Self {
        self.settings.slow_poll = threshold;
        self
    }

    /// From when on a request is slow. Default: 1 s.
    pub const fn slow_request(mut self, threshold: Duration) -> Self {
        self.settings.slow_request = threshold;
        self
    }

    /// Tells `log` of each slow request at its end. It must not block, nor emit `tracing` events.
    pub fn on_slow_request(mut self, log: impl Fn(&SlowRequest) + Send + Sync + 'static) -> Self {
        self.settings.slow_request_log = Some(Log(Arc::new(log)));
        self
    }

    /// How often one request must repeat a statement for that to be a finding. Default: 5.
    pub const fn repeats(mut self, repeats: NonZeroU32) -> Self {
        self.settings.thresholds.repeats = repeats;
        self
    }

    /// What repeated lookups must have taken in total when no query explains them. Default: 50 ms.
    pub const fn unexplained_time(mut self, time: Duration) -> Self {
        self.settings.thresholds.unexplained = time;
        self
    }

    /// Leaves out the findings that `accepted` knows of and holds for right, such as a loop of lookups that a
    /// cache answers.
    ///
    /// ```
    /// use perf_profile::{Profiler, Rule};
    ///
    /// let profiler = Profiler::builder()
    ///     .accept(|finding| finding.rule == Rule::SelectStar && finding.request == "GET /export")
    ///     .build();
    /// ```
    pub fn accept(mut self, accepted: impl Fn(&Finding) -> bool + Send + Sync + 'static) -> Self {
        self.settings.accepted = Accepted(Arc::new(accepted));
        self
    }

    /// How many statements have figures of their own; further ones share `"<other>"`. Default: 1,000.
    pub const fn max_statements(mut self, statements: usize) -> Self {
        self.settings.max_statements = statements;
        self
    }

    /// How many names of requests have figures of their own; further ones share `"<other>"`.
    /// Default: 1,000.
    pub const fn max_request_names(mut self, names: usize) -> Self {
        self.settings.max_request_names = names;
        self
    }

    /// The clock of requests and queries. Functions are timed by the processor's own counter.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// The profiler, with the recording of functions switched on.
    #[must_use]
    pub fn build(self) -> Profiler {
        Profiler::new(self.settings)
    }
}

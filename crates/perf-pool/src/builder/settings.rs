use crate::budget::Budget;
use crate::health::Limits;
use perf_core::{Backoff, Clock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// The settings of a running pool.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) min_idle: usize,
    /// `None` if all may stay idle.
    pub(crate) max_idle: Option<usize>,
    pub(crate) max_connecting: usize,
    pub(crate) max_waiters: usize,
    pub(crate) shed_above: Option<Duration>,
    pub(crate) budget: Option<Budget>,
    pub(crate) leak_after: Option<Duration>,
    pub(crate) replaces_leaked: bool,
    pub(crate) refuses_circles: bool,
    pub(crate) acquire_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) check_timeout: Duration,
    pub(crate) reset_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) backoff: Backoff,
    /// For deadlines and measured waits.
    pub(crate) clock: Arc<dyn Clock>,
    /// For ages and holds, on the path that must not pay for a clock read. Chosen when the pool is built.
    pub(crate) stamps: Arc<dyn Clock>,
}

/// How attempts to connect are spaced while they fail. Its cap is what a server that has returned is kept
/// waiting at most; few attempts run at a time, so it need not be spared for longer.
pub(crate) const RECONNECTING: Backoff =
    Backoff::exponential(Duration::from_millis(100)).with_cap(Duration::from_millis(500));

/// A setting and what is wrong with its value.
pub(crate) type Nonsense = (&'static str, &'static str);

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "default".into(),
            min_idle: 0,
            max_idle: None,
            max_connecting: 0,
            max_waiters: 1_024,
            shed_above: None,
            budget: None,
            leak_after: None,
            replaces_leaked: false,
            refuses_circles: false,
            acquire_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            check_timeout: Duration::from_secs(1),
            reset_timeout: Duration::from_millis(500),
            close_timeout: Duration::from_secs(5),
            limits: Limits {
                check_after_idle: Some(Duration::from_secs(1)),
                idle_timeout: Some(Duration::from_mins(10)),
                max_lifetime: Some(Duration::from_mins(30)),
                max_uses: None,
            },
            backoff: RECONNECTING,
            clock: Arc::new(SystemClock),
            stamps: Arc::new(SystemClock),
        }
    }
}

impl Settings {
    /// The first value that makes no sense whatever the pool's size.
    pub(crate) fn validate(&self) -> Result<(), Nonsense> {
        let limits = &self.limits;
        if self.max_waiters == 0 {
            return Err(("max_waiters", "must be at least 1"));
        }
        if limits.max_uses == Some(0) {
            return Err(("max_uses", "must be at least 1"));
        }
        for (setting, limit) in [
            ("acquire_timeout", Some(self.acquire_timeout)),
            ("connect_timeout", Some(self.connect_timeout)),
            ("check_timeout", Some(self.check_timeout)),
            ("reset_timeout", Some(self.reset_timeout)),
            ("shed_above", self.shed_above),
            ("leak_after", self.leak_after),
            ("max_lifetime", limits.max_lifetime),
        ] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                return Err((setting, "must not be zero"));
            }
        }
        if self.replaces_leaked && self.leak_after.is_none() {
            return Err(("replace_leaked", "needs leak_after"));
        }
        if let (Some(lifetime), Some(idle)) = (limits.max_lifetime, limits.idle_timeout)
            && lifetime < idle
        {
            return Err(("max_lifetime", "must not be shorter than idle_timeout"));
        }
        Ok(())
    }
}

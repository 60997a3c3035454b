use crate::errand::LEAST_DELAY;
use crate::error::PoolError;
use crate::exchange::{Exchange, IdleStack, Shedding, Slots};
use crate::health::Limits;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::shared::{Roster, Shared};
use crate::status::{Counters, Gauge};
use parking_lot::Mutex;
use perf_core::{Backoff, Clock, CoarseClock, Moment, SystemClock};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;
use tokio::sync::Notify;

/// The settings of a pool, checked when it is built.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder<M> {
    manager: M,
    max_size: u32,
    max_connecting: Option<u32>,
    settings: Settings,
}

/// The checked settings of a running pool.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) min_idle: usize,
    pub(crate) max_connecting: usize,
    pub(crate) max_waiters: usize,
    pub(crate) shed_above: Option<Duration>,
    pub(crate) acquire_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) check_timeout: Duration,
    pub(crate) reset_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) backoff: Backoff,
    /// For deadlines and measured waits.
    pub(crate) clock: Arc<dyn Clock>,
    /// For ages and holds, on the path that must not pay for a clock read.
    pub(crate) stamps: Arc<dyn Clock>,
}

impl<M: Manager> PoolBuilder<M> {
    pub(crate) fn new(manager: M) -> Self {
        let backoff = Backoff::exponential(Duration::from_millis(100));
        Self {
            manager,
            max_size: 10,
            max_connecting: None,
            settings: Settings {
                name: "default".into(),
                min_idle: 0,
                max_connecting: 0,
                max_waiters: 1_024,
                shed_above: None,
                acquire_timeout: Duration::from_secs(5),
                connect_timeout: Duration::from_secs(10),
                check_timeout: Duration::from_secs(1),
                reset_timeout: Duration::from_secs(1),
                close_timeout: Duration::from_secs(5),
                limits: Limits {
                    check_after_idle: Some(Duration::from_secs(1)),
                    idle_timeout: Some(Duration::from_mins(10)),
                    max_lifetime: Some(Duration::from_mins(30)),
                    max_uses: None,
                },
                backoff: backoff.with_cap(Duration::from_secs(2)),
                clock: Arc::new(SystemClock),
                stamps: Arc::new(CoarseClock::start()),
            },
        }
    }

    /// What the pool is called in errors, logs and figures. Default: `"default"`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// The most resources that exist at once, those being created or closed included. Default: 10.
    pub const fn max_size(mut self, max_size: u32) -> Self {
        self.max_size = max_size;
        self
    }

    /// How many idle resources to keep ready. They are created with the first that is asked for, and
    /// the idle time-out leaves them alone. Default: 0.
    pub const fn min_idle(mut self, min_idle: u32) -> Self {
        self.settings.min_idle = min_idle as usize;
        self
    }

    /// How many resources may be in the making at once, so that a burst or a restarted server doesn't
    /// meet all of them together. Default: a quarter of `max_size`, at least 2, at most 8.
    pub const fn max_connecting(mut self, max_connecting: u32) -> Self {
        self.max_connecting = Some(max_connecting);
        self
    }

    /// How many callers may wait, at least 1, because a resource is created only for somebody who waits;
    /// more are turned away at once. Default: 1,024.
    pub const fn max_waiters(mut self, max_waiters: usize) -> Self {
        self.settings.max_waiters = max_waiters;
        self
    }

    /// Turns away who waited longer than `target` when their turn comes, once somebody has been waiting
    /// without a break for twice as long: under overload the others then wait about `target`, and not
    /// all of them for ever. 50 ms suits most services. `None` for never, the default.
    pub fn shed_above(mut self, target: impl Into<Option<Duration>>) -> Self {
        self.settings.shed_above = target.into();
        self
    }

    /// How long [`Pool::acquire`] waits in all, whatever it waits for. Default: 5 s.
    pub const fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.settings.acquire_timeout = limit;
        self
    }

    /// How long creating one resource may take. Default: 10 s.
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.settings.connect_timeout = limit;
        self
    }

    /// How long a check may take before the resource counts as dead. Default: 1 s.
    pub const fn check_timeout(mut self, limit: Duration) -> Self {
        self.settings.check_timeout = limit;
        self
    }

    /// How long a reset may take before the resource is dropped. Default: 1 s.
    pub const fn reset_timeout(mut self, limit: Duration) -> Self {
        self.settings.reset_timeout = limit;
        self
    }

    /// How long a polite close may take before the resource is dropped. Default: 5 s.
    pub const fn close_timeout(mut self, limit: Duration) -> Self {
        self.settings.close_timeout = limit;
        self
    }

    /// After how long without use a resource is checked before it is handed out; `None` for never.
    /// Default: 1 s.
    pub fn check_after_idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.check_after_idle = limit.into();
        self
    }

    /// After how long without use a resource is closed; `None` for never. Default: 10 min.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.idle_timeout = limit.into();
        self
    }

    /// How old a resource may get; `None` for any age. Each one's limit is up to a quarter shorter, at
    /// random. Default: 30 min.
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.limits.max_lifetime = limit.into();
        self
    }

    /// How often a resource may be handed out; `None` for any number of times. Default: `None`.
    pub fn max_uses(mut self, limit: impl Into<Option<u64>>) -> Self {
        self.settings.limits.max_uses = limit.into();
        self
    }

    /// How attempts to create are spaced while they fail, by 1 ms at least. Default: 100 ms to 2 s, full
    /// jitter. The pool does not give up while somebody waits: after the last delay of a back-off with a
    /// limit, its longest is repeated.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// The clock of all deadlines, ages and figures. The default reads ages and hold times from a
    /// [`CoarseClock`], 5 ms apart, and the rest from the [`SystemClock`]; a test in paused time needs
    /// `SystemClock` for both.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self.settings.stamps = Arc::clone(&self.settings.clock);
        self
    }

    /// The pool. Creates nothing yet and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`PoolError::Misconfigured`] names the setting that makes no sense.
    pub fn build(mut self) -> Result<Pool<M>, PoolError<M::Error>> {
        self.validate()?;
        let max_connecting = self
            .max_connecting
            .unwrap_or_else(|| (self.max_size / 4).clamp(2, 8));
        self.settings.max_connecting = max_connecting as usize;
        let Self {
            manager,
            max_size,
            settings,
            ..
        } = self;
        let (slots, vacant) = Slots::new(max_size, || None);
        let capacity = vacant.len();
        let shared = Shared {
            manager,
            exchange: Exchange::new(max_size, settings.shed_above.map(Shedding::above)),
            slots,
            gauges: vacant.iter().map(|_| Gauge::default()).collect(),
            vacancies: AtomicUsize::new(capacity),
            roster: Mutex::new(Roster {
                vacant,
                chores: Vec::with_capacity(capacity),
                gate: Moment::ORIGIN,
                delays: settings.backoff.delays(fastrand::Rng::new()),
                longest: LEAST_DELAY,
                last_error: None,
                hopeless: false,
            }),
            settings,
            generation: AtomicU64::new(0),
            sorted_generation: AtomicU64::new(0),
            counters: Counters::default(),
            signal: Arc::new(Notify::new()),
            keeper_runs: AtomicBool::new(false),
            keeper_epoch: AtomicU64::new(0),
            vacated: Notify::new(),
        };
        Ok(Pool {
            shared: Arc::new(shared),
        })
    }

    fn validate(&self) -> Result<(), PoolError<M::Error>> {
        let Settings { limits, .. } = &self.settings;
        let refuse = |setting, reason| Err(PoolError::Misconfigured { setting, reason });
        if self.max_size == 0 || self.max_size > IdleStack::MAX_SLOTS {
            return refuse("max_size", "must lie between 1 and 1,048,574");
        }
        if self.settings.min_idle > self.max_size as usize {
            return refuse("min_idle", "must not exceed max_size");
        }
        if self.max_connecting == Some(0) {
            return refuse("max_connecting", "must be at least 1");
        }
        if self.settings.max_waiters == 0 {
            return refuse("max_waiters", "must be at least 1");
        }
        if self.settings.shed_above == Some(Duration::ZERO) {
            return refuse("shed_above", "must not be zero");
        }
        if limits.max_uses == Some(0) {
            return refuse("max_uses", "must be at least 1");
        }
        if limits
            .max_lifetime
            .is_some_and(|lifetime| lifetime.is_zero())
        {
            return refuse("max_lifetime", "must not be zero");
        }
        if let (Some(lifetime), Some(idle)) = (limits.max_lifetime, limits.idle_timeout)
            && lifetime < idle
        {
            return refuse("max_lifetime", "must not be shorter than idle_timeout");
        }
        for (setting, limit) in [
            ("acquire_timeout", self.settings.acquire_timeout),
            ("connect_timeout", self.settings.connect_timeout),
            ("check_timeout", self.settings.check_timeout),
            ("reset_timeout", self.settings.reset_timeout),
        ] {
            if limit.is_zero() {
                return refuse(setting, "must not be zero");
            }
        }
        Ok(())
    }
}

impl<M: Manager> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

mod settings;

use crate::budget::Budget;
use crate::error::PoolError;
use crate::exchange::{Exchange, IdleStack, Shedding, Slots};
use crate::manager::Manager;
use crate::pool::Pool;
use crate::roster::Roster;
use crate::seat::Seat;
use crate::shared::Shared;
use crate::status::{Counters, Gauge};
use parking_lot::Mutex;
use perf_core::{Backoff, Clock, CoarseClock};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

use settings::Nonsense;
pub(crate) use settings::{RECONNECTING, Settings};

/// The settings of a pool, checked when it is built.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder<M> {
    manager: M,
    max_size: u32,
    max_idle: Option<u32>,
    capacity: Option<u32>,
    max_connecting: Option<u32>,
    has_own_clock: bool,
    settings: Settings,
}

impl<M: Manager> PoolBuilder<M> {
    pub(crate) fn new(manager: M) -> Self {
        Self {
            manager,
            max_size: 10,
            max_idle: None,
            capacity: None,
            max_connecting: None,
            has_own_clock: false,
            settings: Settings::default(),
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

    /// The most that [`Pool::resize`] may set later. Room for as many is made when the pool is built.
    /// Default: four times `max_size`.
    pub const fn capacity(mut self, capacity: u32) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// How many may stay idle: what is returned beyond that is closed at once. With `max_size` larger than
    /// this, the difference is an overflow for bursts, at the price of a connect for each use of it.
    /// Default: all of them.
    pub const fn max_idle(mut self, max_idle: u32) -> Self {
        self.max_idle = Some(max_idle);
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

    /// Shares a limit with other pools: see [`Budget`].
    pub fn budget(mut self, budget: &Budget) -> Self {
        self.settings.budget = Some(budget.clone());
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

    /// How long a reset may take before the resource is dropped. Default: 500 ms.
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

    /// How attempts to create are spaced while they fail, by 1 ms at least. Default: 100 to 500 ms, full
    /// jitter. The first success ends every pause. The pool does not give up while somebody waits: after the last delay of a back-off with a
    /// limit, its longest is repeated.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.settings.backoff = backoff;
        self
    }

    /// Reports with a warning, once, where a resource was acquired that its holder has kept for longer than
    /// `limit`. `None` for never, the default: some holders have good reasons.
    pub fn leak_after(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.leak_after = limit.into();
        self
    }

    /// Lets another resource be created, up to [`capacity`](Self::capacity), in place of each whose holder
    /// was reported by [`leak_after`](Self::leak_after), so that forgotten guards cannot use up the pool.
    /// If it is returned after all, there is one too many, and it is closed. Default: `false`.
    pub const fn replace_leaked(mut self, replaces: bool) -> Self {
        self.settings.replaces_leaked = replaces;
        self
    }

    /// Refuses an acquire at once, with [`PoolError::Circle`], if the caller's task holds resources and
    /// everybody else who does waits for another: nobody would ever return one. Without it such callers
    /// wait until their deadlines.
    ///
    /// Leave it off where one task runs several futures that acquire, as with `join!`: one of them may
    /// return what another waits for, which looks the same. Default: `false`.
    ///
    /// ```
    /// use perf_pool::{Pool, PoolError, from_fn};
    /// use std::io;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder(from_fn(async || io::Result::Ok(0)))
    ///     .max_size(1)
    ///     .refuse_circles(true)
    ///     .build()?;
    /// let held = pool.acquire().await?;
    /// let nested = pool.acquire().await;
    /// assert!(matches!(nested, Err(PoolError::Circle { held: 1, .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn refuse_circles(mut self, refuses: bool) -> Self {
        self.settings.refuses_circles = refuses;
        self
    }

    /// The clock of all deadlines, ages and figures. The default reads ages and hold times from a
    /// [`CoarseClock`](perf_core::CoarseClock), 5 ms apart, and the rest from the
    /// [`SystemClock`](perf_core::SystemClock); a test in paused time needs
    /// `SystemClock` for both.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self.has_own_clock = true;
        self
    }

    pub(crate) const fn current_size(&self) -> u32 {
        self.max_size
    }

    /// As [`PoolBuilder::max_lifetime`], where what idles for longer than that counts as old, too.
    pub(crate) fn recycled_after(mut self, lifetime: Option<Duration>) -> Self {
        let idle = self.settings.limits.idle_timeout;
        if let (Some(lifetime), Some(idle)) = (lifetime, idle) {
            self.settings.limits.idle_timeout = Some(idle.min(lifetime));
        }
        self.max_lifetime(lifetime)
    }

    /// The pool. Creates nothing yet and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`PoolError::Misconfigured`] names the setting that makes no sense.
    pub fn build(mut self) -> Result<Pool<M>, PoolError<M::Error>> {
        let refuse = |(setting, reason)| PoolError::Misconfigured { setting, reason };
        self.resolve().map_err(refuse)?;
        let Self {
            manager,
            max_size,
            capacity,
            settings,
            ..
        } = self;
        let capacity = capacity.unwrap_or(max_size);
        let (slots, vacant) = Slots::new(capacity, || None);
        let shared = Shared {
            manager,
            exchange: Exchange::new(capacity, settings.shed_above.map(Shedding::above)),
            slots,
            gauges: vacant.iter().map(|_| Gauge::default()).collect(),
            roster: Mutex::new(Roster::new(vacant, max_size as usize, &settings.backoff)),
            room: AtomicUsize::new(max_size as usize),
            surplus: AtomicUsize::new(0),
            limit: AtomicUsize::new(max_size as usize),
            settings,
            generation: AtomicU64::new(0),
            lost_generation: AtomicU64::new(0),
            scarce_turns: AtomicU64::new(0),
            sorted_generation: AtomicU64::new(0),
            counters: Counters::default(),
            seat: Seat::default(),
            recovered: Notify::new(),
            vacated: Notify::new(),
        };
        let shared = Arc::new(shared);
        if let Some(budget) = &shared.settings.budget {
            let tenant: Weak<Shared<M>> = Arc::downgrade(&shared);
            budget.admit(tenant);
        }
        Ok(Pool { shared })
    }

    /// Fills in what follows from other settings, and finds the first that makes no sense.
    fn resolve(&mut self) -> Result<(), Nonsense> {
        if self.max_size == 0 || self.max_size > IdleStack::MAX_SLOTS {
            return Err(("max_size", "must lie between 1 and 1,048,574"));
        }
        let capacity = *self.capacity.get_or_insert_with(|| {
            let roomy = self.max_size.saturating_mul(4);
            roomy.min(IdleStack::MAX_SLOTS)
        });
        if capacity < self.max_size || capacity > IdleStack::MAX_SLOTS {
            return Err(("capacity", "must lie between max_size and 1,048,574"));
        }
        let most = self.max_idle.unwrap_or(self.max_size);
        if most > self.max_size {
            return Err(("max_idle", "must not exceed max_size"));
        }
        if self.settings.min_idle > most as usize {
            return Err(("min_idle", "must not exceed max_size or max_idle"));
        }
        if self.max_connecting == Some(0) {
            return Err(("max_connecting", "must be at least 1"));
        }
        let gentle = (self.max_size / 4).clamp(2, 8);
        self.settings.max_connecting = self.max_connecting.unwrap_or(gentle) as usize;
        self.settings.max_idle = self.max_idle.map(|max_idle| max_idle as usize);
        // Only here: the coarse clock is a thread, which a pool with a clock of its own does not start.
        self.settings.stamps = if self.has_own_clock {
            Arc::clone(&self.settings.clock)
        } else {
            Arc::new(CoarseClock::start())
        };
        self.settings.validate()
    }
}

impl<M: Manager> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

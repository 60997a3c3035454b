use super::clock::SharedClock;
use super::denials::Denials;
use super::inspect::Figures;
use super::key::LONGEST_NAME;
use super::leases::Leases;
use super::{STORE_PAUSE, SharedLimiter};
use crate::breaker::CircuitBreaker;
use crate::error::ConfigError;
use crate::limiter::{KeyedLimiter, Rule};
use crate::name::Name;
use crate::quota::{Limit, Quota};
use crate::store::RateLimitStore;
use crate::sync::hasher;
use crate::timeline::Timeline;
use perf_core::{Clock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// What decides while the store cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorePolicy {
    /// A limiter in this process, with this process's share of the quota. It has seen what was admitted
    /// here before.
    #[default]
    Local,
    /// Every call is admitted.
    Open,
    /// No call is admitted.
    Closed,
}

/// The settings of a [`SharedLimiter`], checked by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | policy without the store | [`StorePolicy::Local`] |
/// | instances | 1: each process has the whole quota when it is on its own |
/// | leases | none: every call that is not known to be denied asks the store |
/// | time-out of the store | 100 ms |
/// | keys remembered here | 100,000, 40 bytes each |
#[derive(Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct SharedLimiterBuilder {
    name: Name,
    quota: Quota,
    store: Arc<dyn RateLimitStore>,
    policy: StorePolicy,
    instances: u32,
    lease: Option<u32>,
    timeout: Duration,
    capacity: usize,
    clock: Arc<dyn Clock>,
}

/// So many failures in a row open the breaker before the store: a call that is lost now and then does
/// not, and a store that is gone does within one time-out.
const FAILURES: u32 = 8;

impl SharedLimiterBuilder {
    pub(super) fn new(name: Name, quota: Quota, store: Arc<dyn RateLimitStore>) -> Self {
        Self {
            name,
            quota,
            store,
            policy: StorePolicy::Local,
            instances: 1,
            lease: None,
            timeout: Duration::from_millis(100),
            capacity: 100_000,
            clock: Arc::new(SystemClock),
        }
    }

    /// What decides while the store cannot.
    pub const fn policy(mut self, policy: StorePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many processes share the limit, 1 to 1,000. Without the store each has that part of the quota,
    /// rounded down but at least one call: a fleet cut off from its store then stays within its quota as
    /// long as calls are spread evenly. With one, the default, nobody's calls are denied that the quota
    /// allows, and a fleet of many admits as many times the quota.
    pub const fn instances(mut self, instances: u32) -> Self {
        self.instances = instances;
        self
    }

    /// Takes so many calls of a key from the store at once and spends them here. All instances' leases
    /// together are set aside from the burst, so set [`instances`](Self::instances) as well.
    ///
    /// While a key calls less than this process has leased for it, other processes cannot use what lies
    /// here; a tenth of the burst over all instances is a good measure.
    pub const fn leases(mut self, calls: u32) -> Self {
        self.lease = Some(calls);
        self
    }

    /// How long a call waits for the store, 1 ms to a year.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How many keys are remembered in this process, for denials and for decisions without the store.
    pub const fn capacity(mut self, keys: usize) -> Self {
        self.capacity = keys;
        self
    }

    /// Reads time from `clock`. The store has its own.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The limiter.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the first setting that cannot work: a name that is empty, above 100 bytes,
    /// or has a colon or `#`; leases that would set aside the whole burst.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::{MemoryStore, SharedLimiter};
    ///
    /// let builder = SharedLimiter::builder("api", &"100/second".parse()?, MemoryStore::new());
    /// let error = builder.instances(4).leases(25).build().unwrap_err();
    /// assert_eq!(error.to_string(), "leased calls is 25, must be 1 to 20");
    /// # Ok(())
    /// # }
    /// ```
    pub fn build(self) -> Result<SharedLimiter, ConfigError> {
        check_name(&self.name)?;
        in_range("instances", self.instances, 1_000)?;
        let share = share_of(&self.quota, self.instances)?;
        if let Some(size) = self.lease {
            // At least one batch must fit beside what is set aside.
            let most = least_burst(&self.quota) / (self.instances + 1);
            in_range("leased calls", size, most)?;
        }
        let clock = SharedClock(self.clock);
        let breaker = CircuitBreaker::builder(format!("store of {}", self.name))
            .clock(clock.clone())
            .without_failure_rate()
            .consecutive_failures(FAILURES)
            .open_for(STORE_PAUSE)
            .max_open(STORE_PAUSE)
            .timeout(self.timeout)
            .build()?;
        let lease = |size| Leases::new(size, self.instances, self.capacity);
        Ok(SharedLimiter {
            name: self.name,
            rules: self.quota.limits().iter().map(Rule::ticking).collect(),
            store: self.store,
            breaker,
            policy: self.policy,
            local_burst: least_burst(&share),
            local: KeyedLimiter::with_clock(&share, self.capacity, clock.clone())?,
            denials: Denials::new(self.capacity),
            leases: self.lease.map(lease),
            hasher: hasher(),
            time: Timeline::begin(clock),
            figures: Figures::default(),
        })
    }
}

fn check_name(name: &Name) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains([':', '#']) {
        return Err(ConfigError::Name {
            name: name.chars().take(100).collect(),
        });
    }
    Ok(())
}

fn in_range(setting: &'static str, value: u32, most: u32) -> Result<(), ConfigError> {
    if value == 0 || value > most {
        return Err(ConfigError::Range {
            setting,
            value: value.into(),
            least: 1,
            most: most.into(),
        });
    }
    Ok(())
}

fn least_burst(quota: &Quota) -> u32 {
    let bursts = quota.limits().iter().map(Limit::burst);
    bursts.min().unwrap_or(0)
}

/// One of so many equal parts.
fn share_of(quota: &Quota, instances: u32) -> Result<Quota, ConfigError> {
    let share = |limit: &Limit| {
        let count = (limit.count() / instances).max(1);
        Limit::new(count, limit.period())?.with_burst((limit.burst() / instances).max(1))
    };
    let limits: Result<Vec<_>, _> = quota.limits().iter().map(share).collect();
    Quota::all_of(&limits?)
}

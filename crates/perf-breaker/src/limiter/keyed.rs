use super::Decision;
use super::inspect::Figures;
use super::rule::Rule;
use super::table::Table;
use crate::error::ConfigError;
use crate::name::Name;
use crate::quota::{Limit, Quota};
use crate::sync::{Mutex, hasher};
use crate::timeline::Timeline;
use perf_core::{Clock, Moment, SystemClock};
use std::hash::Hash;

/// Admits calls of each key as a [`Quota`] allows, for a bounded number of keys.
///
/// A key takes 20 bytes for each limit of the quota, whatever its own length; a key whose calls have all
/// come back takes none. Below the capacity no key is forgotten before that; close to it, fewer than one
/// in five hundred are, by chance; beyond it, the key goes that would have been forgotten soonest. A key
/// that keeps calling stays.
///
/// ```
/// # fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::KeyedLimiter;
///
/// let limiter = KeyedLimiter::new(&"2/minute".parse()?, 100_000)?;
/// assert!(limiter.check("alice").is_allowed());
/// assert!(limiter.check("alice").is_allowed());
/// assert!(!limiter.check("alice").is_allowed());
/// assert!(limiter.check("bob").is_allowed());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct KeyedLimiter<K = SystemClock> {
    pub(super) figures: Figures,
    time: Timeline<K>,
    hasher: ahash::RandomState,
    /// One table a limit.
    tables: Box<[(Rule, Table)]>,
    /// Held by a key while several limits decide on it: a call that one of them denies must take nothing
    /// from the others.
    stripes: Box<[Mutex<()>]>,
}

const STRIPES: usize = 64;
/// Two gigabytes for each limit of the quota.
const MOST_KEYS: usize = 100_000_000;

impl KeyedLimiter {
    /// A limiter on the system's clock, with room for `capacity` keys, which it takes at once; 1 to
    /// 100,000,000.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Range`] if the capacity is outside its range.
    pub fn new(quota: &Quota, capacity: usize) -> Result<Self, ConfigError> {
        Self::with_clock(quota, capacity, SystemClock)
    }
}

impl<K: Clock> KeyedLimiter<K> {
    /// A limiter on `clock`.
    ///
    /// # Errors
    ///
    /// As [`KeyedLimiter::new`].
    pub fn with_clock(quota: &Quota, capacity: usize, clock: K) -> Result<Self, ConfigError> {
        if capacity == 0 || capacity > MOST_KEYS {
            return Err(ConfigError::Range {
                setting: "capacity for keys",
                value: capacity as u64,
                least: 1,
                most: MOST_KEYS as u64,
            });
        }
        let table = |limit: &Limit| (Rule::compact(limit), Table::new(capacity));
        Ok(Self {
            figures: Figures::of(quota),
            time: Timeline::begin(clock),
            hasher: hasher(),
            tables: quota.limits().iter().map(table).collect(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
        })
    }

    /// The same limiter under a name of its own; without one it is called by its quota.
    #[must_use]
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.figures.name = name.into();
        self
    }

    /// Takes one call from the key's quota, or nothing if it denies it.
    #[inline]
    pub fn check<Q: Hash + ?Sized>(&self, key: &Q) -> Decision {
        self.take(key, 1)
    }

    /// Takes `cost` calls from the key's quota at once, or nothing if it denies them.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CostExceedsBurst`] if no wait could make the cost admissible.
    pub fn check_cost<Q: Hash + ?Sized>(
        &self,
        key: &Q,
        cost: u32,
    ) -> Result<Decision, ConfigError> {
        match self.tables.iter().map(|(rule, _)| rule.limit.burst()).min() {
            Some(burst) if cost > burst => Err(ConfigError::CostExceedsBurst { cost, burst }),
            _ => Ok(self.take(key, cost)),
        }
    }

    /// Takes one call of a key that has a limit of its own instead of the quota's first.
    ///
    /// The key's history stays: what it has taken comes back at the new limit's pace. Only for quotas of
    /// one limit; of several, the others stay as they are.
    pub fn check_with<Q: Hash + ?Sized>(&self, key: &Q, limit: &Limit) -> Decision {
        let own = Rule::compact(limit);
        self.figures
            .note(self.decide(self.hasher.hash_one(key), 1, Some(&own)))
    }

    /// What a call of the key would be told now; takes nothing.
    pub fn peek<Q: Hash + ?Sized>(&self, key: &Q) -> Decision {
        self.look(self.hasher.hash_one(key), self.time.now(), 1, None)
            .before()
    }

    /// Gives back `cost` calls of the key that were admitted and not made.
    pub fn refund<Q: Hash + ?Sized>(&self, key: &Q, cost: u32) {
        let hash = self.hasher.hash_one(key);
        let now = self.time.now();
        let _one_at_a_time = self.stripe(hash).lock();
        for (rule, table) in &self.tables {
            table.update(hash, rule.gcra.instant(now), |arrival| {
                let known = arrival > 0;
                (known.then(|| rule.gcra.give_back(arrival, cost)), ())
            });
        }
    }

    /// How many live keys have been forgotten because there were more than the capacity.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.tables.iter().map(|(_, table)| table.evicted()).sum()
    }

    #[inline]
    fn take<Q: Hash + ?Sized>(&self, key: &Q, cost: u32) -> Decision {
        self.figures
            .note(self.decide(self.hasher.hash_one(key), cost, None))
    }

    #[inline]
    fn decide(&self, hash: u64, cost: u32, own: Option<&Rule>) -> Decision {
        if let [(rule, table)] = &*self.tables {
            return take_from(table, own.unwrap_or(rule), hash, self.time.now(), cost);
        }
        let _one_at_a_time = self.stripe(hash).lock();
        let now = self.time.now();
        let decision = self.look(hash, now, cost, own);
        if decision.is_allowed() {
            for (rule, table) in self.rules(own) {
                let _allowed = take_from(table, rule, hash, now, cost);
            }
        }
        decision
    }

    /// What the limit that matters says.
    fn look(&self, hash: u64, now: Moment, cost: u32, own: Option<&Rule>) -> Decision {
        let look_at = |(rule, table): (&Rule, &Table)| {
            table.update(hash, rule.gcra.instant(now), |arrival| {
                (None, rule.decide(arrival, now, cost).1)
            })
        };
        let decisions = self.rules(own).map(look_at);
        decisions
            .reduce(Decision::graver)
            .expect("a quota has at least one limit")
    }

    fn rules<'a>(&'a self, own: Option<&'a Rule>) -> impl Iterator<Item = (&'a Rule, &'a Table)> {
        self.tables
            .iter()
            .enumerate()
            .map(move |(index, (rule, table))| match own {
                Some(own) if index == 0 => (own, table),
                _ => (rule, table),
            })
    }

    fn stripe(&self, hash: u64) -> &Mutex<()> {
        &self.stripes[usize::try_from(hash >> 32).unwrap_or(0) % STRIPES]
    }
}

#[inline]
fn take_from(table: &Table, rule: &Rule, hash: u64, now: Moment, cost: u32) -> Decision {
    table.update(hash, rule.gcra.instant(now), |arrival| {
        let (next, decision) = rule.decide(arrival, now, cost);
        (
            (decision.is_allowed() && cost > 0).then_some(next),
            decision,
        )
    })
}

use super::Decision;
use super::inspect::Figures;
use super::rule::Rule;
use super::table::Table;
use crate::error::ConfigError;
use crate::name::Name;
use crate::quota::{Limit, Quota};
use crate::sync::{AtomicU32, Mutex, Ordering::Acquire, Ordering::Release, hasher};
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
    rules: Box<[Rule]>,
    /// One table a limit.
    tables: Box<[Table]>,
    /// The rules in force once they have been changed.
    changed: Changed,
    /// Held by a key while several limits decide on it: a call that one of them denies must take nothing
    /// from the others.
    stripes: Box<[Mutex<()>]>,
}

#[derive(Debug)]
struct Changed {
    /// Whether they have been.
    yes: AtomicU32,
    rules: Mutex<Box<[Rule]>>,
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
        let rules: Box<[Rule]> = quota.limits().iter().map(Rule::compact).collect();
        Ok(Self {
            figures: Figures::of(quota),
            time: Timeline::begin(clock),
            hasher: hasher(),
            tables: rules.iter().map(|_| Table::new(capacity)).collect(),
            changed: Changed {
                yes: AtomicU32::new(0),
                rules: Mutex::new(rules.clone()),
            },
            rules,
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
        let least = |rules: &[Rule]| rules.iter().map(|rule| rule.limit.burst()).min();
        match self.with_rules(least) {
            Some(burst) if cost > burst => Err(ConfigError::CostExceedsBurst { cost, burst }),
            _ => Ok(self.take(key, cost)),
        }
    }

    /// Takes one call of a key that has a limit of its own instead of the quota's first.
    ///
    /// The key's history stays: the time until everything that it has taken has come back is the same under
    /// another limit, up to that limit's longest. Of a quota of several limits the others stay as they are.
    pub fn check_with<Q: Hash + ?Sized>(&self, key: &Q, limit: &Limit) -> Decision {
        self.take_with(key, 1, Rule::compact(limit))
    }

    /// Takes `cost` calls of a key that has a limit of its own, at once or not at all.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CostExceedsBurst`] if no wait could make the cost admissible.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::{KeyedLimiter, Limit};
    /// use std::time::Duration;
    ///
    /// let limiter = KeyedLimiter::new(&"2/minute".parse()?, 100_000)?;
    /// let gold = Limit::new(100, Duration::from_secs(60))?;
    /// assert!(limiter.check_cost_with("alice", 40, &gold)?.is_allowed());
    /// assert!(limiter.check_cost("bob", 40).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_cost_with<Q: Hash + ?Sized>(
        &self,
        key: &Q,
        cost: u32,
        limit: &Limit,
    ) -> Result<Decision, ConfigError> {
        let own = Rule::compact(limit);
        let least = |rules: &[Rule]| {
            let others = rules.iter().skip(1).map(|rule| rule.limit.burst());
            others.fold(limit.burst(), u32::min)
        };
        let burst = self.with_rules(least);
        if cost > burst {
            return Err(ConfigError::CostExceedsBurst { cost, burst });
        }
        Ok(self.take_with(key, cost, own))
    }

    /// What a call of the key would be told now; takes nothing.
    pub fn peek<Q: Hash + ?Sized>(&self, key: &Q) -> Decision {
        let hash = self.hasher.hash_one(key);
        let now = self.time.now();
        self.with_rules(|rules| self.look(rules, hash, now, 1))
            .before()
    }

    /// Gives back `cost` calls of the key that were admitted and not made.
    pub fn refund<Q: Hash + ?Sized>(&self, key: &Q, cost: u32) {
        let hash = self.hasher.hash_one(key);
        let now = self.time.now();
        let _one_at_a_time = self.stripe(hash).lock();
        self.with_rules(|rules| {
            for (rule, table) in rules.iter().zip(&self.tables) {
                table.update(hash, rule.gcra.instant(now), |arrival| {
                    let known = arrival > 0;
                    (known.then(|| rule.gcra.give_back(arrival, cost)), ())
                });
            }
        });
    }

    /// Puts another quota in force for all keys and all calls from now on.
    ///
    /// What has been taken stays taken: the time until it has come back stays, up to the new limits'
    /// longest.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Range`] if the quota has another number of limits than the one before.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::KeyedLimiter;
    ///
    /// let limiter = KeyedLimiter::new(&"2/hour".parse()?, 100_000)?;
    /// assert!(limiter.check("alice").is_allowed());
    /// limiter.change(&"10/hour".parse()?)?; // half was taken, half is left
    /// assert_eq!(limiter.peek("alice").remaining(), 5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn change(&self, quota: &Quota) -> Result<(), ConfigError> {
        let limits = quota.limits();
        if limits.len() != self.tables.len() {
            return Err(ConfigError::Range {
                setting: "number of limits",
                value: limits.len() as u64,
                least: self.tables.len() as u64,
                most: self.tables.len() as u64,
            });
        }
        *self.changed.rules.lock() = limits.iter().map(Rule::compact).collect();
        self.changed.yes.store(1, Release);
        Ok(())
    }

    /// The quota in force.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.with_rules(|rules| Quota::of_rules(rules.iter().map(|rule| rule.limit)))
    }

    /// Whether the quota in force is this one.
    ///
    /// ```
    /// # fn main() -> Result<(), perf_breaker::ConfigError> {
    /// use perf_breaker::KeyedLimiter;
    ///
    /// let limiter = KeyedLimiter::new(&"2/hour".parse()?, 100_000)?;
    /// assert!(limiter.is_under(&"2/hour".parse()?));
    /// limiter.change(&"10/hour".parse()?)?;
    /// assert!(!limiter.is_under(&"2/hour".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_under(&self, quota: &Quota) -> bool {
        let limits = quota.limits().iter();
        self.with_rules(|rules| rules.iter().map(|rule| &rule.limit).eq(limits))
    }

    /// How many live keys have been forgotten because there were more than the capacity.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.tables.iter().map(Table::evicted).sum()
    }

    #[inline]
    fn take<Q: Hash + ?Sized>(&self, key: &Q, cost: u32) -> Decision {
        let hash = self.hasher.hash_one(key);
        // One limit that was never changed: all that most limiters ever do.
        if let ([rule], [table]) = (&*self.rules, &*self.tables)
            && self.changed.yes.load(Acquire) == 0
        {
            let decision = self.take_from(table, rule, hash, cost);
            return self.figures.note(decision);
        }
        self.take_by(hash, cost, |_| {})
    }

    fn take_with<Q: Hash + ?Sized>(&self, key: &Q, cost: u32, own: Rule) -> Decision {
        let hash = self.hasher.hash_one(key);
        self.take_by(hash, cost, |rules| rules[0] = own)
    }

    /// Takes by the rules in force as `adapt` has changed them.
    #[inline(never)]
    fn take_by(&self, hash: u64, cost: u32, adapt: impl FnOnce(&mut [Rule])) -> Decision {
        let (mut rules, count) = self.with_rules(copy);
        adapt(&mut rules);
        self.figures.note(self.decide(&rules[..count], hash, cost))
    }

    fn decide(&self, rules: &[Rule], hash: u64, cost: u32) -> Decision {
        if let ([rule], [table]) = (rules, &*self.tables) {
            return self.take_from(table, rule, hash, cost);
        }
        let _one_at_a_time = self.stripe(hash).lock();
        let decision = self.look(rules, hash, self.time.now(), cost);
        for (rule, table) in rules.iter().zip(&self.tables) {
            if decision.is_allowed() {
                let _allowed = self.take_from(table, rule, hash, cost);
            } else {
                self.shorten(table, rule, hash);
            }
        }
        decision
    }

    #[inline]
    fn take_from(&self, table: &Table, rule: &Rule, hash: u64, cost: u32) -> Decision {
        let now = self.time.now();
        let decision = table.update(hash, rule.gcra.instant(now), |arrival| {
            let (next, decision) = rule.decide(arrival, now, cost);
            let taken = decision.is_allowed() && cost > 0;
            (taken.then_some(next), decision)
        });
        if !decision.is_allowed() && rule.gcra.is_full(decision.ahead) {
            self.shorten(table, rule, hash);
        }
        decision
    }

    /// Forgets what lies further ahead than the limit allows, which another limit has left there: the denial
    /// has promised that it does not count.
    #[cold]
    fn shorten(&self, table: &Table, rule: &Rule, hash: u64) {
        table.update(hash, rule.gcra.instant(self.time.now()), |arrival| {
            // Read after the arrival: with an older reading, what somebody has just taken would lie too far
            // ahead and be given back in part.
            let latest = rule.gcra.latest(rule.gcra.instant(self.time.now()));
            ((arrival > latest).then_some(latest), ())
        });
    }

    /// What the limit that matters says.
    fn look(&self, rules: &[Rule], hash: u64, now: Moment, cost: u32) -> Decision {
        let look_at = |(rule, table): (&Rule, &Table)| {
            table.update(hash, rule.gcra.instant(now), |arrival| {
                (None, rule.decide(arrival, now, cost).1)
            })
        };
        let decisions = rules.iter().zip(&self.tables).map(look_at);
        decisions
            .reduce(Decision::graver)
            .expect("a quota has at least one limit")
    }

    /// Lets `work` see the rules in force. Changed ones are copied out, so that no lock is held meanwhile.
    #[inline]
    fn with_rules<R>(&self, work: impl FnOnce(&[Rule]) -> R) -> R {
        if self.changed.yes.load(Acquire) == 0 {
            return work(&self.rules);
        }
        let (rules, count) = copy(&self.changed.rules.lock());
        work(&rules[..count])
    }

    fn stripe(&self, hash: u64) -> &Mutex<()> {
        &self.stripes[usize::try_from(hash >> 32).unwrap_or(0) % STRIPES]
    }
}

/// At least one rule and at most as many as a quota has, and how many they are.
fn copy(rules: &[Rule]) -> ([Rule; Quota::MOST_LIMITS], usize) {
    let mut copied = [rules[0]; Quota::MOST_LIMITS];
    copied[..rules.len()].copy_from_slice(rules);
    (copied, rules.len())
}

//! When a resource is fit to be handed out: ages, idle times and use counts. Pure; time is an argument.

use perf_core::Moment;
use std::time::Duration;

/// How old, idle or used a resource may get. `None` is "without limit".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) check_after_idle: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_uses: Option<u64>,
}

/// The share of the lifetime that a resource may lose at random, so that resources created together
/// are not all replaced together.
const LIFETIME_JITTER: f64 = 0.25;

/// What the pool remembers of one resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) created: Moment,
    /// The end of its lifetime, with its share of jitter.
    pub(crate) expires: Moment,
    /// When it was last returned, checked or created.
    pub(crate) proven: Moment,
    /// When its holder got it.
    pub(crate) taken: Moment,
    pub(crate) uses: u64,
    /// Which [`invalidate_all`](crate::Pool::invalidate_all) it survived.
    pub(crate) generation: u64,
    /// Whether a holder left something on it that the next one must not see.
    pub(crate) tainted: bool,
}

/// Why a resource was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It reached the end of its lifetime.
    Lifetime,
    /// Nobody needed it for longer than the idle time-out.
    Idle,
    /// It was used as often as it may be.
    Uses,
    /// It is older than the last call of [`Pool::invalidate_all`](crate::Pool::invalidate_all).
    Invalidated,
    /// Its manager or its holder said that it is useless.
    Broken,
    /// It did not pass the check after being idle.
    CheckFailed,
    /// A holder left it tainted, and it could not be cleaned.
    ResetFailed,
    /// Its holder took it out of the pool.
    Detached,
    /// The pool was closed.
    PoolClosed,
    /// The pool was made smaller, or more came back than it keeps idle.
    Surplus,
    /// The runtime that drove its I/O has gone or stands still.
    RuntimeLost,
}

impl CloseReason {
    pub(crate) const ALL: [Self; 11] = [
        Self::Lifetime,
        Self::Idle,
        Self::Uses,
        Self::Invalidated,
        Self::Broken,
        Self::CheckFailed,
        Self::ResetFailed,
        Self::Detached,
        Self::PoolClosed,
        Self::Surplus,
        Self::RuntimeLost,
    ];

    /// Its name in figures, in `snake_case`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lifetime => "lifetime",
            Self::Idle => "idle",
            Self::Uses => "uses",
            Self::Invalidated => "invalidated",
            Self::Broken => "broken",
            Self::CheckFailed => "check_failed",
            Self::ResetFailed => "reset_failed",
            Self::Detached => "detached",
            Self::PoolClosed => "pool_closed",
            Self::Surplus => "surplus",
            Self::RuntimeLost => "runtime_lost",
        }
    }

    /// Whether the resource still works, so that closing it politely makes sense.
    pub(crate) const fn is_healthy(self) -> bool {
        !matches!(
            self,
            Self::Broken
                | Self::CheckFailed
                | Self::ResetFailed
                | Self::Detached
                | Self::RuntimeLost
        )
    }
}

/// Whether a resource may be handed out as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fitness {
    Ready,
    /// Only after a check.
    Check,
    /// Only after a reset.
    Reset,
    Retire(CloseReason),
}

impl Record {
    /// The record of a resource created at `now`; `luck` in `0.0..1.0` is its share of jitter.
    pub(crate) fn new(limits: &Limits, now: Moment, generation: u64, luck: f64) -> Self {
        let expires = limits.max_lifetime.map_or(Moment::NEVER, |lifetime| {
            now.saturating_add(lifetime.mul_f64(1.0 - LIFETIME_JITTER * luck))
        });
        Self {
            created: now,
            expires,
            proven: now,
            taken: now,
            uses: 0,
            generation,
            tainted: false,
        }
    }

    /// Whether it may go from idle to a holder.
    #[inline]
    pub(crate) fn fitness_to_lend(&self, limits: &Limits, now: Moment, generation: u64) -> Fitness {
        if self.generation != generation {
            return Fitness::Retire(CloseReason::Invalidated);
        }
        if now >= self.expires {
            return Fitness::Retire(CloseReason::Lifetime);
        }
        match limits.check_after_idle {
            Some(limit) if now.since(self.proven) > limit => Fitness::Check,
            _ => Fitness::Ready,
        }
    }

    /// Whether it may go from its holder to the next one.
    #[inline]
    pub(crate) fn fitness_to_return(
        &self,
        limits: &Limits,
        now: Moment,
        generation: u64,
    ) -> Fitness {
        if self.generation != generation {
            return Fitness::Retire(CloseReason::Invalidated);
        }
        if now >= self.expires {
            return Fitness::Retire(CloseReason::Lifetime);
        }
        if limits.max_uses.is_some_and(|max| self.uses >= max) {
            return Fitness::Retire(CloseReason::Uses);
        }
        if self.tainted {
            return Fitness::Reset;
        }
        Fitness::Ready
    }

    /// When it is to be given up if it stays idle; `idle_counts` says whether idling alone suffices.
    pub(crate) fn retirement(&self, limits: &Limits, idle_counts: bool) -> (Moment, CloseReason) {
        let idle_end = match limits.idle_timeout {
            Some(limit) if idle_counts => self.proven.saturating_add(limit),
            _ => Moment::NEVER,
        };
        if idle_end < self.expires {
            (idle_end, CloseReason::Idle)
        } else {
            (self.expires, CloseReason::Lifetime)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        check_after_idle: Some(Duration::from_secs(1)),
        idle_timeout: Some(Duration::from_secs(60)),
        max_lifetime: Some(Duration::from_secs(100)),
        max_uses: Some(2),
    };

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn jitter_takes_up_to_a_quarter_of_the_lifetime() {
        assert_eq!(Record::new(&LIMITS, at(0), 0, 0.0).expires, at(100));
        assert_eq!(Record::new(&LIMITS, at(0), 0, 1.0).expires, at(75));
    }

    #[test]
    fn a_check_is_due_only_after_idling() {
        let record = Record::new(&LIMITS, at(10), 0, 0.0);
        assert_eq!(record.fitness_to_lend(&LIMITS, at(11), 0), Fitness::Ready);
        assert_eq!(record.fitness_to_lend(&LIMITS, at(12), 0), Fitness::Check);
    }

    #[test]
    fn age_and_invalidation_come_before_everything_else() {
        let mut record = Record::new(&LIMITS, at(0), 0, 0.0);
        record.tainted = true;
        assert_eq!(record.fitness_to_return(&LIMITS, at(1), 0), Fitness::Reset);
        record.uses = 2;
        let retired = Fitness::Retire;
        assert_eq!(
            record.fitness_to_return(&LIMITS, at(1), 0),
            retired(CloseReason::Uses)
        );
        assert_eq!(
            record.fitness_to_return(&LIMITS, at(100), 0),
            retired(CloseReason::Lifetime)
        );
        assert_eq!(
            record.fitness_to_return(&LIMITS, at(1), 1),
            retired(CloseReason::Invalidated)
        );
        assert_eq!(
            record.fitness_to_lend(&LIMITS, at(1), 1),
            retired(CloseReason::Invalidated)
        );
    }

    #[test]
    fn it_retires_at_the_earlier_of_idle_and_lifetime() {
        let mut record = Record::new(&LIMITS, at(0), 0, 0.0);
        assert_eq!(
            record.retirement(&LIMITS, true),
            (at(60), CloseReason::Idle)
        );
        assert_eq!(
            record.retirement(&LIMITS, false),
            (at(100), CloseReason::Lifetime)
        );
        record.proven = at(50);
        assert_eq!(
            record.retirement(&LIMITS, true),
            (at(100), CloseReason::Lifetime)
        );
    }
}

use super::admission::Admission;
use super::machine::{Machine, Refusal, Transition, Verdict};
use super::tuning::Limits;
use super::{Hold, State};
use crate::error::Rejection;
use crate::name::Name;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use crate::timeline::Timeline;
use crate::window::Trace;
use perf_core::{Clock, Moment, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// The machine with its clock, its name and its counters: what all handles of a breaker share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) machine: Machine,
    pub(super) name: Name,
    pub(super) clock: Time,
    pub(super) limits: Limits,
    pub(super) rejected: AtomicU64,
    pub(super) opened: AtomicU64,
}

/// The usual clock without an indirection, which starts with the process, or one that the user chose.
#[derive(Clone, Debug)]
pub(super) enum Time {
    System,
    Other(Arc<Timeline<dyn Clock>>),
}

impl Time {
    #[inline]
    pub(super) fn now(&self) -> Moment {
        match self {
            Self::System => SystemClock.now(),
            Self::Other(clock) => clock.now(),
        }
    }

    /// As [`Clock::recent`].
    #[inline]
    fn recent(&self) -> Moment {
        match self {
            Self::System => SystemClock.recent(),
            Self::Other(clock) => clock.recent(),
        }
    }

    pub(super) fn sleep_until(&self, deadline: Moment) -> perf_core::clock::Sleep {
        match self {
            Self::System => SystemClock.sleep_until(deadline),
            Self::Other(clock) => clock.sleep_until(deadline),
        }
    }
}

/// An admission and the time at which it was given: two numbers, for two registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) admission: Admission,
    pub(super) started: Moment,
}

impl Core {
    #[inline]
    pub(super) fn admit(&self) -> Result<Pass, Rejection> {
        match self.machine.calm() {
            Some(generation) => Ok(self.pass(Admission::counted(generation))),
            None => self.admit_with_care(),
        }
    }

    /// The rest of [`admit`](Self::admit), apart from it: what every healthy call runs through stays short.
    #[inline(never)]
    fn admit_with_care(&self) -> Result<Pass, Rejection> {
        match self.machine.refuse_while_open(|| self.clock.recent()) {
            Some(refusal) => Err(self.reject(refusal)),
            None => self.admit_or_reject(),
        }
    }

    #[inline(never)]
    fn admit_or_reject(&self) -> Result<Pass, Rejection> {
        let now = || self.clock.now();
        let announce = |change| self.announce(change);
        match self.machine.admit(now, fastrand::f64, announce) {
            Ok(admission) => Ok(self.pass(admission)),
            Err(refusal) => Err(self.reject(refusal)),
        }
    }

    #[inline]
    fn reject(&self, refusal: Refusal) -> Rejection {
        let rejection = Rejection {
            name: self.name.clone(),
            state: refusal.state,
            retry_after: refusal.retry_after,
        };
        self.rejected.fetch_add(1, Relaxed);
        rejection
    }

    #[inline]
    fn pass(&self, admission: Admission) -> Pass {
        let started = if self.limits.are_set() {
            self.clock.now()
        } else {
            Moment::ORIGIN
        };
        Pass { admission, started }
    }

    /// Takes note of a call that succeeded.
    #[inline]
    pub(super) fn settle_success(&self, pass: Pass) {
        let is_timed = self.limits.slow() != u64::MAX;
        if is_timed || !self.machine.is_unmoved_by_success(pass.admission) {
            self.settle(pass, false);
        }
    }

    /// Takes note of a call that succeeded or failed.
    #[inline(never)]
    pub(super) fn settle(&self, pass: Pass, failed: bool) {
        let slow_limit = self.limits.slow();
        if slow_limit == u64::MAX {
            let trace = Trace {
                failed,
                slow: false,
            };
            self.decide(pass, Verdict::Counted(trace), || self.clock.now());
        } else {
            let now = self.clock.now();
            let slow = nanos_since(pass.started, now) >= slow_limit;
            self.decide(pass, Verdict::Counted(Trace { failed, slow }), || now);
        }
    }

    /// Takes note of a call that ended as `verdict` says, whatever its age.
    #[inline(never)]
    pub(super) fn judge(&self, pass: Pass, verdict: Verdict) {
        self.decide(pass, verdict, || self.clock.now());
    }

    /// Judges a call whose permit was dropped without a word.
    #[cold]
    pub(super) fn settle_dropped(&self, pass: Pass) {
        if std::thread::panicking() {
            self.judge(pass, Verdict::Counted(Trace::FAILED));
        } else {
            self.settle_abandoned(pass);
        }
    }

    /// Judges a call that nobody waited for by the time it took.
    pub(super) fn settle_abandoned(&self, pass: Pass) {
        let mut verdict = Verdict::Ignored;
        if self.limits.are_set() {
            let taken = nanos_since(pass.started, self.clock.now());
            let (failed, slow) = (taken >= self.limits.timeout(), taken >= self.limits.slow());
            if failed || slow {
                verdict = Verdict::Counted(Trace { failed, slow });
            }
        }
        self.decide(pass, verdict, || self.clock.now());
    }

    #[inline]
    pub(super) fn decide(&self, pass: Pass, verdict: Verdict, now: impl Fn() -> Moment) {
        if let Some(change) = self
            .machine
            .settle(pass.admission, verdict, now, fastrand::f64)
        {
            self.announce(change);
        }
    }

    /// The longest that a call may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self.limits.timeout() {
            u64::MAX => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    #[cold]
    pub(super) fn announce(&self, change: Transition) {
        let Transition {
            from,
            to,
            reason,
            open_for,
        } = change;
        if to == State::Open {
            self.opened.fetch_add(1, Relaxed);
            tracing::warn!(breaker = %self.name, %from, %reason, ?open_for, "circuit breaker opened");
        } else if from == to && to == State::Held(Hold::MetricsOnly) {
            tracing::warn!(breaker = %self.name, %reason, "circuit breaker would have opened");
        } else {
            tracing::info!(breaker = %self.name, %from, %to, %reason, "circuit breaker changed");
        }
    }
}

pub(super) fn nanos_since(started: Moment, now: Moment) -> u64 {
    now.as_nanos().saturating_sub(started.as_nanos())
}

pub(super) type Holder<'b> = crate::holder::Holder<'b, Core>;

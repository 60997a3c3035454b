//! The states of a breaker and how one becomes another.
//!
//! All of it hangs on one word ([`Word`]). Admission reads it, and writes it only to give out a probe or
//! to begin a generation. Whatever else is written carries the generation, so an exchange that comes
//! late fails or writes what nobody reads. Time and randomness are arguments.

use super::admission::{Admission, Purpose};
use super::lease::Lease;
use super::rules::Reason;
use super::streak::Streak;
use super::tuning::{Tuner, Tuning};
use super::word::{Deadline, Phase, Tally, Word};
use super::{Hold, State};
use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use crate::window::{Counts, Generation, Trace, Window};
use perf_core::Moment;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Machine {
    word: AtomicU64,
    lease: Lease,
    streak: Streak,
    window: Window,
    tuner: Tuner,
}

/// How many probes are given out, how many must succeed, and how long one may take to report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    pub(super) limit: u16,
    pub(super) needed: u16,
    pub(super) lease: Duration,
}

impl Probes {
    /// How long a probe may take to report, after `hung` generations whose probes all hung.
    fn lease_after(self, hung: u64) -> Duration {
        let doubled = self.lease.saturating_mul(1 << hung);
        self.lease.max(doubled.min(LONGEST_DOUBLED))
    }
}

const LONGEST_DOUBLED: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) state: State,
    pub(super) retry_after: Duration,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Counted(Trace),
    Ignored,
    OpenFor(Duration),
}

/// A change of state that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transition {
    pub(super) from: State,
    pub(super) to: State,
    pub(super) reason: Reason,
    pub(super) open_for: Duration,
}

/// More than a recent reading of a clock lags behind, see [`perf_core::Clock::recent`].
const MOST_LAG: Duration = Duration::from_millis(100);

/// The share of calls that a re-admission begins with.
const FIRST_SHARE: f64 = 0.1;

impl Machine {
    pub(super) fn new(window: Window, tuning: Tuning) -> Self {
        Self {
            word: AtomicU64::new(Word::START.0),
            lease: Lease::new(),
            streak: Streak::new(),
            window,
            tuner: Tuner::new(tuning),
        }
    }

    /// Decides by `tuning` from now on. What the window holds stays.
    pub(super) fn tune(&self, tuning: Tuning) {
        self.tuner.replace(tuning);
    }

    pub(super) const fn window(&self) -> &Window {
        &self.window
    }

    /// Whether it decides about every future call as one would that has never seen a call.
    pub(super) fn is_fresh(&self, now: Moment) -> bool {
        self.load().is_calm() && self.counts(now).calls == 0
    }

    /// The generation, while everything may pass.
    #[inline]
    pub(super) fn calm(&self) -> Option<Generation> {
        let word = self.load();
        word.is_calm().then(|| word.generation())
    }

    /// Whether the success of a call would change nothing, so that there is nothing to take note of.
    #[inline]
    pub(super) fn is_unmoved_by_success(&self, admission: Admission) -> bool {
        let generation = admission.generation();
        admission.purpose() == Purpose::Counted
            && self.window.is_full_of_good_calls(generation)
            && self.streak.is_empty(generation)
    }

    /// The refusal of a breaker whose open time is far from over: what everybody gets while the callee is
    /// down. Far enough that a reading may do which lags a little.
    #[inline]
    pub(super) fn refuse_while_open(&self, recent: impl Fn() -> Moment) -> Option<Refusal> {
        let word = self.load();
        if word.phase() != Phase::Open {
            return None;
        }
        let left = Deadline(word.payload()).left(recent());
        (left > MOST_LAG).then(|| refusal(word, left))
    }

    /// Lets a call pass or says why not; `changed` hears of what that changed.
    #[inline]
    pub(super) fn admit(
        &self,
        now: impl Fn() -> Moment,
        random: impl Fn() -> f64,
        changed: impl Fn(Transition),
    ) -> Result<Admission, Refusal> {
        loop {
            let word = self.load();
            let step = match word.phase() {
                Phase::Closed => self.readmit(word, now(), random()),
                Phase::Open => self.probe_if_due(word, now()),
                Phase::HalfOpen => self.probe_if_free(word, now()),
                Phase::Held => self.admit_held(word),
            };
            match step {
                Step::Done(result) => return result,
                Step::Begin(next, reason, now) if self.exchange(word, next) => {
                    self.renew_lease(next, now);
                    changed(transition(word, next, reason, Duration::ZERO));
                    return Ok(Admission::new(Purpose::Probe, next.generation()));
                }
                Step::Write(next, admission) if self.exchange(word, next) => {
                    return Ok(admission);
                }
                // Somebody else changed the word first: look again.
                Step::Begin(..) | Step::Write(..) => {}
            }
        }
    }

    /// Takes note of how an admitted call ended, and says what that changed.
    #[inline]
    pub(super) fn settle(
        &self,
        admission: Admission,
        verdict: Verdict,
        now: impl Fn() -> Moment,
        random: impl Fn() -> f64,
    ) -> Option<Transition> {
        let generation = admission.generation();
        match (admission.purpose(), verdict) {
            (Purpose::Counted, Verdict::Counted(trace)) => {
                let reason = self.record(generation, trace, &now)?;
                let open_for = self.tuner.all().open_time.draw(0, random());
                self.trip(generation, reason, open_for, now())
            }
            (Purpose::Counted, Verdict::OpenFor(open_for)) => {
                self.record(generation, Trace::FAILED, &now);
                let open_for = self.tuner.all().open_time.grant(open_for);
                self.trip(generation, Reason::Requested, open_for, now())
            }
            (Purpose::Probe, _) => self.settle_probe(generation, verdict, now, random),
            (Purpose::Counted, Verdict::Ignored) | (Purpose::Unrecorded, _) => None,
        }
    }

    pub(super) fn state(&self) -> State {
        state_of(self.load())
    }

    /// Whether it is open and the next call becomes a probe.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        let word = self.load();
        word.phase() == Phase::Open && Deadline(word.payload()).left(now).is_zero()
    }

    pub(super) fn counts(&self, now: Moment) -> Counts {
        self.window.counts(self.load().generation(), || now)
    }

    /// Begins a generation by hand: held, or closed with an empty window.
    pub(super) fn force(&self, hold: Option<Hold>) -> Transition {
        loop {
            let word = self.load();
            let next = match hold {
                Some(hold) => word.next(Phase::Held, 0, hold.to_payload()),
                None => word.next(Phase::Closed, 0, 0),
            };
            if self.exchange(word, next) {
                return transition(word, next, Reason::Operator, Duration::ZERO);
            }
        }
    }

    fn readmit(&self, word: Word, now: Moment, random: f64) -> Step {
        let admission = Admission::counted(word.generation());
        if word.payload() == 0 {
            return Step::Done(Ok(admission));
        }
        let left = Deadline(word.payload()).left(now);
        if left.is_zero() {
            return Step::Write(word.with_payload(0), admission);
        }
        let passed = 1.0 - left.as_secs_f64() / self.tuner.all().readmission.as_secs_f64();
        let share = FIRST_SHARE + (1.0 - FIRST_SHARE) * passed;
        Step::Done(if random < share {
            Ok(admission)
        } else {
            Err(refusal(word, left))
        })
    }

    #[inline]
    fn probe_if_due(&self, word: Word, now: Moment) -> Step {
        let left = Deadline(word.payload()).left(now);
        if left.is_zero() {
            let next = word.next(Phase::HalfOpen, word.streak(), Tally::first(0).pack());
            Step::Begin(next, Reason::Waited, now)
        } else {
            Step::Done(Err(refusal(word, left)))
        }
    }

    fn probe_if_free(&self, word: Word, now: Moment) -> Step {
        let tally = Tally::unpack(word.payload());
        let probes = self.tuner.all().probes;
        if tally.taken() < u64::from(probes.limit) {
            // Before the probe is given out: whoever then finds all of them out finds its lease too.
            self.renew_lease(word, now);
            let next = word.with_payload(tally.with_another().pack());
            return Step::Write(next, Admission::new(Purpose::Probe, word.generation()));
        }
        let full = probes.lease_after(tally.hung);
        let left = self.lease.left(word.generation(), full, now);
        if left.is_zero() {
            let first = Tally::first(tally.hung + 1);
            let next = word.next(Phase::HalfOpen, word.streak(), first.pack());
            Step::Begin(next, Reason::LeaseExpired, now)
        } else {
            Step::Done(Err(refusal(word, left)))
        }
    }

    fn admit_held(&self, word: Word) -> Step {
        Step::Done(match Hold::from_payload(word.payload()) {
            Hold::Open => Err(refusal(word, self.tuner.all().open_time.base)),
            Hold::Closed | Hold::MetricsOnly => Ok(Admission::counted(word.generation())),
            Hold::Disabled => Ok(Admission::new(Purpose::Unrecorded, word.generation())),
        })
    }

    /// Counts a call and judges the window if the call may have tipped it.
    #[inline]
    fn record(
        &self,
        generation: Generation,
        trace: Trace,
        now: impl Fn() -> Moment,
    ) -> Option<Reason> {
        let stands = || self.load().generation() == generation;
        let minimum = self.tuner.min_calls();
        let reached = self.window.record(generation, trace, minimum, &now, stands);
        let in_a_row = if self.tuner.counts_rows() {
            self.streak.record(generation, trace.failed, stands)
        } else {
            0
        };
        if trace.failed || trace.slow || reached {
            self.judge(generation, in_a_row, now)
        } else {
            None
        }
    }

    #[cold]
    fn judge(
        &self,
        generation: Generation,
        in_a_row: u64,
        now: impl Fn() -> Moment,
    ) -> Option<Reason> {
        let counts = self.window.counts(generation, now);
        // A row goes back as far as the window does: failures hours apart are no row.
        let in_a_row = match self.window {
            Window::Time(_) => in_a_row.min(counts.calls),
            Window::Count(_) => in_a_row,
        };
        self.tuner.all().rules.verdict(counts, in_a_row)
    }

    /// Opens the breaker, unless its generation has ended or a hold forbids it.
    fn trip(
        &self,
        generation: Generation,
        reason: Reason,
        open_for: Duration,
        now: Moment,
    ) -> Option<Transition> {
        loop {
            let word = self.load();
            if word.generation() != generation {
                return None;
            }
            let next = match word.phase() {
                Phase::Closed => word.next(Phase::Open, 0, Deadline::after(now, open_for).0),
                // Shows what it would have done, and counts afresh to be able to show it again.
                Phase::Held if Hold::from_payload(word.payload()) == Hold::MetricsOnly => {
                    word.next(Phase::Held, 0, word.payload())
                }
                _ => return None,
            };
            if self.exchange(word, next) {
                return Some(transition(word, next, reason, open_for));
            }
        }
    }

    fn settle_probe(
        &self,
        generation: Generation,
        verdict: Verdict,
        now: impl Fn() -> Moment,
        random: impl Fn() -> f64,
    ) -> Option<Transition> {
        loop {
            let word = self.load();
            if word.generation() != generation || word.phase() != Phase::HalfOpen {
                return None;
            }
            let mut tally = Tally::unpack(word.payload());
            // None is out for a permit so old that its generation's tag has come round again.
            tally.in_flight = tally.in_flight.checked_sub(1)?;
            match verdict {
                Verdict::Counted(trace) if trace.failed || trace.slow => tally.failures += 1,
                Verdict::Counted(_) => tally.successes += 1,
                Verdict::Ignored | Verdict::OpenFor(_) => {}
            }
            let (next, reason, open_for) = self.after_probe(word, tally, verdict, &now, &random);
            if self.exchange(word, next) {
                return (next.generation() != generation)
                    .then(|| transition(word, next, reason, open_for));
            }
        }
    }

    fn after_probe(
        &self,
        word: Word,
        tally: Tally,
        verdict: Verdict,
        now: impl Fn() -> Moment,
        random: impl Fn() -> f64,
    ) -> (Word, Reason, Duration) {
        let tuning = self.tuner.all();
        let open = |open_for, reason| {
            let streak = word.streak() + 1;
            let deadline = Deadline::after(now(), open_for);
            (word.next(Phase::Open, streak, deadline.0), reason, open_for)
        };
        let (limit, needed) = (tuning.probes.limit.into(), tuning.probes.needed.into());
        if let Verdict::OpenFor(open_for) = verdict {
            open(tuning.open_time.grant(open_for), Reason::Requested)
        } else if tally.failures + needed > limit {
            open(
                tuning.open_time.draw(word.streak() + 1, random()),
                Reason::ProbesFailed,
            )
        } else if tally.successes >= needed {
            let ramp = if tuning.readmission.is_zero() {
                0
            } else {
                Deadline::after(now(), tuning.readmission).0
            };
            (
                word.next(Phase::Closed, 0, ramp),
                Reason::ProbesSucceeded,
                Duration::ZERO,
            )
        } else {
            (
                word.with_payload(tally.pack()),
                Reason::ProbesSucceeded,
                Duration::ZERO,
            )
        }
    }

    fn renew_lease(&self, word: Word, now: Moment) {
        let hung = Tally::unpack(word.payload()).hung;
        let stands = || self.load().generation() == word.generation();
        let full = self.tuner.all().probes.lease_after(hung);
        self.lease.renew(word.generation(), full, now, stands);
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    fn exchange(&self, old: Word, new: Word) -> bool {
        self.word
            .compare_exchange(old.0, new.0, AcqRel, Relaxed)
            .is_ok()
    }
}

/// What an admission wants to do to the word that it has read.
enum Step {
    Done(Result<Admission, Refusal>),
    /// Begin a half-open generation with this caller as its first probe.
    Begin(Word, Reason, Moment),
    /// Write within the generation.
    Write(Word, Admission),
}

const fn refusal(word: Word, retry_after: Duration) -> Refusal {
    Refusal {
        state: state_of(word),
        retry_after,
    }
}

const fn transition(from: Word, to: Word, reason: Reason, open_for: Duration) -> Transition {
    Transition {
        from: state_of(from),
        to: state_of(to),
        reason,
        open_for,
    }
}

const fn state_of(word: Word) -> State {
    match word.phase() {
        Phase::Closed => State::Closed,
        Phase::Open => State::Open,
        Phase::HalfOpen => State::HalfOpen,
        Phase::Held => State::Held(Hold::from_payload(word.payload())),
    }
}

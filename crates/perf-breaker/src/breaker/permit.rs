use super::classify::Outcome;
use super::core::{Holder, Pass};
use super::machine::Verdict;

/// The right to make one call, and the duty to say how it ended.
///
/// It belongs to the generation in which it was given: once the breaker has changed its state, whatever
/// the permit reports has no effect.
///
/// Dropping it without a report judges the call by its age: beyond the call time-out it counts as failed,
/// beyond the slow-call limit as slow, otherwise as not made. Dropping it because the thread panics
/// counts as failed. Either way nothing leaks.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::CircuitBreaker;
///
/// let breaker = CircuitBreaker::new("mail");
/// let permit = breaker.admit()?;
/// match std::fs::metadata(".") {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(),
/// }
/// assert_eq!(breaker.snapshot().calls, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts as a call that was not made"]
pub struct Permit<'b> {
    core: Holder<'b>,
    /// `None` once the call is settled.
    pass: Option<Pass>,
}

impl<'b> Permit<'b> {
    #[inline]
    pub(super) const fn new(core: Holder<'b>, pass: Pass) -> Self {
        Self {
            core,
            pass: Some(pass),
        }
    }

    /// The call succeeded.
    #[inline]
    pub fn success(self) {
        self.record(Outcome::Success);
    }

    /// The call failed.
    #[inline]
    pub fn failure(self) {
        self.record(Outcome::Failure);
    }

    /// The call ended as `outcome` says.
    #[inline]
    pub fn record(mut self, outcome: Outcome) {
        let Some(pass) = self.pass.take() else { return };
        match outcome {
            Outcome::Success => self.core.settle_success(pass),
            Outcome::Failure => self.core.settle(pass, true),
            Outcome::Ignore => self.core.judge(pass, Verdict::Ignored),
            Outcome::OpenFor(time) => self.core.judge(pass, Verdict::OpenFor(time)),
        }
    }

    /// The call was given up: judged by its age, even while a panic that is none of its own unwinds.
    pub(crate) fn abandon(mut self) {
        if let Some(pass) = self.pass.take() {
            self.core.settle_abandoned(pass);
        }
    }

    /// The call begins only now: what its caller has waited for since does not make it slow.
    pub(crate) fn restart(&mut self) {
        if let Some(pass) = &mut self.pass
            && self.core.limits.are_set()
        {
            pass.started = self.core.clock.now();
        }
    }

    /// The call ended as `verdict` says, whatever its age.
    pub(super) fn finish(mut self, verdict: Verdict) {
        if let Some(pass) = self.pass.take() {
            self.core.judge(pass, verdict);
        }
    }

    pub(super) fn core(&self) -> &Holder<'b> {
        &self.core
    }

    pub(super) const fn pass(&self) -> Option<Pass> {
        self.pass
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.core.settle_dropped(pass);
        }
    }
}

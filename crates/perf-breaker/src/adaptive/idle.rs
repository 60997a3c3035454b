use super::CallSample;
use super::aimd::whole;

/// What a call takes while the callee has no queue, learnt from probes.
///
/// A probe halves the limit. Calls that began before it end first, then the callee's queue drains; what calls
/// take after that is averaged. A callee whose queue is longer than half the limit does not drain within
/// one probe: it then looks slower than it is, the limit still shrinks, and the next probe finds more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    mean: f64,
    least: f64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Calls until the next probe.
    Steady(u64),
    Drain {
        /// Calls to ignore.
        left: u64,
    },
    Measure {
        left: u64,
        sum: f64,
        least: f64,
    },
}

/// How many calls a probe measures.
const MEASURED: u64 = 10;
/// Rounds of calls between probes: a probe costs half a limit for about two of them.
const ROUNDS_BETWEEN: u64 = 50;

impl Idle {
    /// Begins with a probe, as nothing is known yet.
    pub(super) const fn new() -> Self {
        Self {
            mean: 0.0,
            least: 0.0,
            state: State::Drain { left: 0 },
        }
    }

    /// The mean of the last probe, in nanoseconds.
    pub(super) const fn mean(&self) -> f64 {
        self.mean
    }

    /// The least of the last probe, in nanoseconds.
    pub(super) const fn least(&self) -> f64 {
        self.least
    }

    /// Takes note of a call under `limit`. True if the call says something about the load; during a probe
    /// none does.
    pub(super) fn note(&mut self, sample: CallSample, limit: f64) -> bool {
        let taken = sample.taken.as_secs_f64() * 1e9;
        match &mut self.state {
            State::Steady(0) => {
                // All that are under way now, and as many again for what they left in the queue.
                self.state = State::Drain {
                    left: 2 * whole(limit),
                };
                false
            }
            State::Steady(left) => {
                *left -= 1;
                true
            }
            State::Drain { left: 0 } => {
                self.state = State::Measure {
                    left: MEASURED - 1,
                    sum: taken,
                    least: taken,
                };
                false
            }
            State::Drain { left } => {
                *left -= 1;
                false
            }
            State::Measure {
                left: 0,
                sum,
                least,
            } => {
                (self.mean, self.least) = (*sum / MEASURED as f64, *least);
                self.state = State::Steady(ROUNDS_BETWEEN * whole(limit).max(MEASURED));
                false
            }
            State::Measure { left, sum, least } => {
                *left -= 1;
                *sum += taken;
                *least = least.min(taken);
                false
            }
        }
    }

    /// The limit in force: halved while a probe is under way.
    pub(super) const fn in_force(&self, limit: f64, least: f64) -> f64 {
        match self.state {
            State::Steady(_) => limit,
            State::Drain { .. } | State::Measure { .. } => (limit / 2.0).max(least),
        }
    }
}

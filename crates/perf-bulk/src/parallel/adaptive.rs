//! How many at a time, judged from how long each takes.

use std::time::Duration;

/// A limit that grows while calls are as fast as they were, and shrinks when they slow down or fail.
///
/// Additive increase, multiplicative decrease, as in TCP: one more for each round of calls that take at
/// most twice the shortest time seen lately, three fifths less for a slow call, a third less for one that failed. So it
/// swings between a little less than what the other side does without queueing and twice that, and each low
/// point shows the shortest time anew. That time is forgotten by a thousandth with every round, to follow a server that has
/// become slower for good. The idea is that of V. Jacobson's *Congestion Avoidance and Control*, 1988.
///
/// ```
/// use perf_bulk::Adaptive;
/// use std::time::Duration;
///
/// let mut limit = Adaptive::between(2, 100);
/// assert_eq!(limit.current(), 2);
/// for _ in 0..50 {
///     limit.observe(Duration::from_millis(10), limit.current(), false);
/// }
/// assert!(limit.current() > 5);
/// limit.observe(Duration::from_millis(10), 5, true);
/// assert!(limit.current() < 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    min: usize,
    max: usize,
    limit: f64,
    /// The shortest time seen lately, in seconds.
    shortest: Option<f64>,
    /// How many calls must end before the limit shrinks again: those that the last cut came too late for.
    settling: usize,
}

/// What the shortest time grows by in a round.
const FORGOTTEN: f64 = 0.001;
const SLOW: f64 = 2.0;

impl Adaptive {
    /// Begins at `min` and never exceeds `max`; zero counts as one, and a `max` below `min` as `min`.
    #[must_use]
    pub const fn between(min: usize, max: usize) -> Self {
        let min = if min == 0 { 1 } else { min };
        Self {
            min,
            max: if max < min { min } else { max },
            limit: min as f64,
            shortest: None,
            settling: 0,
        }
    }

    /// The limit now.
    #[must_use]
    pub const fn current(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between min and max, which are usize"
        )]
        let limit = self.limit as usize;
        limit
    }

    /// Notes a call that took `elapsed` while `running` calls ran, itself included.
    pub fn observe(&mut self, elapsed: Duration, running: usize, failed: bool) {
        let elapsed = elapsed.as_secs_f64();
        let growth = 1.0 + FORGOTTEN / self.limit;
        let shortest = self
            .shortest
            .map_or(elapsed, |shortest| (shortest * growth).min(elapsed));
        if !failed {
            self.shortest = Some(shortest);
        }
        self.settling = self.settling.saturating_sub(1);
        if failed {
            self.shrink(2.0 / 3.0, running);
        } else if elapsed > shortest * SLOW {
            self.shrink(0.4, running);
        } else if running >= self.current() {
            self.limit = (self.limit + 1.0 / self.limit).min(self.max as f64);
        }
    }

    /// One cut for each round: the calls that run already were started under the old limit.
    fn shrink(&mut self, factor: f64, running: usize) {
        if self.settling == 0 {
            self.limit = (self.limit * factor).max(self.min as f64);
            self.settling = running;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A server that works on `capacity` calls at a time and lets others queue.
    fn settles_at(capacity: usize, calls: usize) -> f64 {
        let mut limit = Adaptive::between(1, 1_000);
        let mut sum = 0.0;
        for call in 0..calls {
            let running = limit.current();
            let queued = (running as f64 / capacity as f64).max(1.0);
            limit.observe(Duration::from_millis(10).mul_f64(queued), running, false);
            if call >= calls / 2 {
                sum += limit.current() as f64;
            }
        }
        sum / (calls - calls / 2) as f64
    }

    #[test]
    fn it_settles_where_calls_begin_to_queue() {
        for capacity in [4, 20, 100] {
            let mean = settles_at(capacity, 100_000);
            let share = mean / capacity as f64;
            assert!((0.9..2.6).contains(&share), "{mean} for {capacity}");
        }
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            min in 0_usize..20,
            max in 0_usize..40,
            calls in vec((0_u64..100, 0_usize..60, any::<bool>()), 0..500),
        ) {
            let mut limit = Adaptive::between(min, max);
            for (millis, running, failed) in calls {
                limit.observe(Duration::from_millis(millis), running, failed);
                prop_assert!(limit.current() >= min.max(1));
                prop_assert!(limit.current() <= max.max(min).max(1));
            }
        }
    }
}

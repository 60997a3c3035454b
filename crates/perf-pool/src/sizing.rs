//! How many resources a load needs, from what was measured of it.
//!
//! By Little's law, a load of λ acquires a second that hold a resource for H seconds each keeps λ·H of them
//! busy on average. Exactly so many would make everybody wait for ever, because arrivals come in clusters.
//! How many more are needed for waits to stay short is what Erlang's C formula says, for arrivals that
//! know nothing of each other and holds that vary exponentially: A. K. Erlang, *Solution of some Problems in
//! the Theory of Probabilities of Significance in Automatic Telephone Exchanges*, 1917.

use crate::status::Metrics;
use std::fmt;
use std::time::Duration;

/// What is asked of a pool.
///
/// ```
/// use perf_pool::Load;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let load = Load { arrivals_per_second: 500.0, mean_hold: Duration::from_millis(8) };
/// let advice = load.advise(Duration::from_millis(10), 0.99).ok_or("no load")?;
/// assert_eq!(advice.size, 7); // 4 are busy on average
/// assert!(advice.share_in_time >= 0.99);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "two figures that say all, to be written down by users"
)]
pub struct Load {
    /// How many callers come in a second, those included who were turned away.
    pub arrivals_per_second: f64,
    /// How long each keeps a resource on average.
    pub mean_hold: Duration,
}

/// A size for a load, and what to expect of it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// The fewest resources that reach the goal.
    pub size: u32,
    /// The load that it is for.
    pub load: Load,
    /// How many resources are busy on average.
    pub busy: f64,
    /// The share of callers who have to wait at all, from 0 to 1.
    pub share_waiting: f64,
    /// The mean wait of all callers.
    pub mean_wait: Duration,
    /// The longest wait that was asked for.
    pub goal: Duration,
    /// The share of callers who wait no longer than that.
    pub share_in_time: f64,
}

/// The most resources that advice is given for.
const MAX_SIZE: u32 = 100_000;

impl Load {
    /// The load between two readings of a pool's metrics, `elapsed` apart. `None` if nobody came.
    ///
    /// Holds shorter than the pool's clock can tell are counted as the clock shows them, which is right on
    /// average.
    #[must_use]
    pub fn between(earlier: &Metrics, later: &Metrics, elapsed: Duration) -> Option<Self> {
        let came = |metrics: &Metrics| {
            metrics.acquired + metrics.timeouts + metrics.refused + metrics.shed
        };
        let arrivals = came(later).saturating_sub(came(earlier));
        let served = later.acquired.saturating_sub(earlier.acquired);
        if arrivals == 0 || served == 0 || elapsed.is_zero() {
            return None;
        }
        let held = later.hold.sum.saturating_sub(earlier.hold.sum);
        Some(Self {
            arrivals_per_second: arrivals as f64 / elapsed.as_secs_f64(),
            mean_hold: Duration::from_secs_f64(held.as_secs_f64() / served as f64),
        })
    }

    /// How many resources are busy on average, in erlangs.
    #[must_use]
    pub fn busy(&self) -> f64 {
        self.arrivals_per_second * self.mean_hold.as_secs_f64()
    }

    /// The smallest size at which the share `in_time` of all callers, such as 0.99, waits no longer than
    /// `goal`. `None` if the figures are no load, or beyond reason.
    #[must_use]
    pub fn advise(&self, goal: Duration, in_time: f64) -> Option<Advice> {
        let busy = self.busy();
        if !busy.is_finite() || busy < 0.0 || !(0.0..1.0).contains(&in_time) {
            return None;
        }
        let sizes = 1..=MAX_SIZE;
        // Erlang's B formula, carried on from size to size, is stable where factorials overflow.
        let mut blocked = 1.0;
        let advice = sizes.map(|size| {
            blocked = busy * blocked / (f64::from(size) + busy * blocked);
            self.expect(size, blocked, goal)
        });
        advice
            .flatten()
            .find(|advice| advice.share_in_time >= in_time)
    }

    /// What to expect of `size` resources, of which the share `blocked` of callers would find none idle if
    /// nobody waited. `None` if they cannot bear the load.
    fn expect(&self, size: u32, blocked: f64, goal: Duration) -> Option<Advice> {
        let busy = self.busy();
        let spare = f64::from(size) - busy;
        if spare <= 0.0 {
            return None;
        }
        let share_waiting = blocked / (1.0 - busy / f64::from(size) * (1.0 - blocked));
        let hold = self.mean_hold.as_secs_f64();
        // The line shortens at the rate of the spare resources.
        let late = if hold > 0.0 {
            share_waiting * (-spare * goal.as_secs_f64() / hold).exp()
        } else {
            0.0
        };
        Some(Advice {
            size,
            load: *self,
            busy,
            share_waiting,
            mean_wait: Duration::try_from_secs_f64(share_waiting * hold / spare).ok()?,
            goal,
            share_in_time: 1.0 - late,
        })
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            size,
            load,
            busy,
            mean_wait,
            goal,
            share_in_time,
            ..
        } = self;
        let (arrivals, hold) = (load.arrivals_per_second, load.mean_hold);
        write!(
            f,
            "{size} resources: {arrivals:.1} acquires a second that hold for {hold:.1?} keep {busy:.1} busy; the mean \
             wait is {mean_wait:.1?}, and {:.2} % wait at most {goal:.1?}",
            share_in_time * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arrivals_per_second: f64, hold_ms: u64) -> Load {
        Load {
            arrivals_per_second,
            mean_hold: Duration::from_millis(hold_ms),
        }
    }

    /// The formula as it stands in textbooks, with its factorials.
    fn erlang_c(size: u32, busy: f64) -> f64 {
        let term = |n: u32| (1..=n).map(f64::from).fold(1.0, |term, i| term * busy / i);
        let waiting = term(size) * f64::from(size) / (f64::from(size) - busy);
        waiting / ((0..size).map(term).sum::<f64>() + waiting)
    }

    #[test]
    fn it_agrees_with_the_textbook() {
        for (arrivals, hold_ms) in [(1.0, 500), (100.0, 20), (500.0, 8), (1_000.0, 15)] {
            let load = load(arrivals, hold_ms);
            let advice = load.advise(Duration::from_millis(5), 0.95).unwrap();
            let expected = erlang_c(advice.size, load.busy());
            assert!((advice.share_waiting - expected).abs() < 1e-9, "{advice}");
        }
    }

    #[test]
    fn one_resource_half_busy_is_the_simplest_queue() {
        let advice = load(50.0, 10).advise(Duration::from_secs(1), 0.99).unwrap();
        assert_eq!(advice.size, 1);
        assert!((advice.share_waiting - 0.5).abs() < 1e-9);
        // Half of the callers wait, for 20 ms on average.
        assert_eq!(advice.mean_wait.as_micros(), 10_000);
    }

    #[test]
    fn a_size_below_the_advice_misses_the_goal() {
        let load = load(800.0, 25);
        let goal = Duration::from_millis(2);
        let advice = load.advise(goal, 0.99).unwrap();
        assert!(f64::from(advice.size) > load.busy());
        let busy = load.busy();
        let blocked = (1..advice.size).fold(1.0, |blocked, size| {
            busy * blocked / (f64::from(size) + busy * blocked)
        });
        let smaller = load.expect(advice.size - 1, blocked, goal).unwrap();
        assert!(smaller.share_in_time < 0.99 && advice.share_in_time >= 0.99);
    }

    #[test]
    fn what_is_no_load_gets_no_advice() {
        assert_eq!(load(f64::NAN, 1).advise(Duration::ZERO, 0.99), None);
        assert_eq!(load(-1.0, 1).advise(Duration::ZERO, 0.99), None);
        assert_eq!(load(1e12, 1_000).advise(Duration::ZERO, 0.99), None);
        assert_eq!(load(1.0, 1).advise(Duration::ZERO, 1.0), None);
        assert_eq!(load(0.0, 1).advise(Duration::ZERO, 0.99).unwrap().size, 1);
    }
}

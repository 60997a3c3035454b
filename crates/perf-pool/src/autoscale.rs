use crate::error::PoolError;
use crate::manager::Manager;
use crate::pool::Pool;
use crate::sizing::{Advice, Load};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a pool's size is to follow its load.
///
/// The size grows at once to what the load of the last interval needs, and shrinks by at most a tenth an
/// interval, because a connect in a rush costs more than a connection that idles for a while.
#[derive(Clone, Debug)]
pub struct Autoscale {
    sizes: RangeInclusive<u32>,
    interval: Duration,
    goal: Duration,
    in_time: f64,
}

impl Autoscale {
    /// Keeps the size within `sizes`, so that 99 % of callers wait at most 10 ms, judged every 10 s.
    #[must_use]
    pub const fn within(sizes: RangeInclusive<u32>) -> Self {
        Self {
            sizes,
            interval: Duration::from_secs(10),
            goal: Duration::from_millis(10),
            in_time: 0.99,
        }
    }

    /// How often the size is judged.
    #[must_use]
    pub const fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Which share of callers, from 0 to below 1, is to wait at most how long.
    #[must_use]
    pub const fn with_goal(mut self, goal: Duration, in_time: f64) -> Self {
        self.goal = goal;
        self.in_time = in_time;
        self
    }

    /// The next size of a pool that has `size` now.
    fn next(&self, size: u32, advice: Option<Advice>) -> u32 {
        let (smallest, largest) = (*self.sizes.start(), *self.sizes.end());
        let wanted = advice.map_or(smallest, |advice| advice.size);
        let least = size - size.div_ceil(10).min(size);
        wanted.max(least).clamp(smallest, largest)
    }
}

impl<M: Manager> Pool<M> {
    /// Lets the pool's size follow its load, until the pool is closed or the future dropped: usually a task
    /// of its own. Logs what it does and why.
    ///
    /// ```no_run
    /// # use perf_pool::{Autoscale, Pool, from_fn};
    /// # async fn f(pool: Pool<impl perf_pool::Manager>) {
    /// tokio::spawn(async move { pool.autoscale(Autoscale::within(4..=32)).await });
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PoolError::Misconfigured`] if a size is zero, beyond the pool's
    /// [`capacity`](crate::PoolBuilder::capacity), or the interval is zero.
    ///
    /// # Cancel safety
    ///
    /// The pool keeps the size that it has when the future is dropped.
    pub async fn autoscale(&self, rule: Autoscale) -> Result<(), PoolError<M::Error>> {
        let refuse = |setting, reason| Err(PoolError::Misconfigured { setting, reason });
        let capacity = self.shared.gauges.len();
        let (least, most) = (*rule.sizes.start(), *rule.sizes.end());
        if least == 0 || least > most || most as usize > capacity {
            return refuse("sizes", "must lie between 1 and the pool's capacity");
        }
        if rule.interval.is_zero() {
            return refuse("interval", "must not be zero");
        }
        let clock = &self.shared.settings.clock;
        let (mut before, mut since) = (self.metrics(), clock.now());
        while !self.is_closed() {
            clock.sleep(rule.interval).await;
            let (metrics, now) = (self.metrics(), clock.now());
            let load = Load::between(&before, &metrics, now.since(since));
            let advice = load.and_then(|load| load.advise(rule.goal, rule.in_time));
            let size = u32::try_from(self.status().max_size).unwrap_or(u32::MAX);
            let next = rule.next(size, advice);
            if next != size {
                let name = &self.shared.settings.name;
                match advice {
                    Some(advice) => tracing::info!(pool = %name, size, next, %advice, "resized"),
                    None => tracing::info!(pool = %name, size, next, "resized: nobody came"),
                }
                self.resize(next)?;
            }
            (before, since) = (metrics, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(arrivals_per_second: f64) -> Option<Advice> {
        let load = Load {
            arrivals_per_second,
            mean_hold: Duration::from_millis(10),
        };
        load.advise(Duration::from_millis(10), 0.99)
    }

    #[test]
    fn it_grows_at_once_and_shrinks_slowly_within_bounds() {
        let rule = Autoscale::within(2..=30);
        let wanted = advice(1_000.0).unwrap().size;
        assert!((11..=30).contains(&wanted), "{wanted}");
        assert_eq!(rule.next(2, advice(1_000.0)), wanted);
        assert_eq!(rule.next(2, advice(100_000.0)), 30);
        assert_eq!(rule.next(30, advice(1.0)), 27);
        assert_eq!(rule.next(3, None), 2);
        assert_eq!(rule.next(2, None), 2);
    }
}

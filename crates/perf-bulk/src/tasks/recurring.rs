//! When a recurring task runs.
//!
//! No worker is in charge of a schedule. Each one that knows it enqueues the next run ahead of time, under a
//! key made of the schedule's name and the time; the queue keeps the first and ignores the others.

#[cfg(feature = "cron")]
mod cron;

use crate::error::TaskError;
use crate::wall::{from_micros, to_micros};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The times at which a task recurs.
#[derive(Clone)]
pub struct Schedule {
    next: Arc<Next>,
}

type Next = dyn Fn(SystemTime) -> Option<SystemTime> + Send + Sync;

impl Schedule {
    /// Every `period`, at multiples of it since 1970 in UTC: every hour means on the hour.
    ///
    /// ```
    /// use perf_bulk::Schedule;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let schedule = Schedule::every(Duration::from_secs(60))?;
    /// let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    /// assert_eq!(schedule.next_after(at(59)), Some(at(60)));
    /// assert_eq!(schedule.next_after(at(60)), Some(at(120)));
    /// # Ok::<(), perf_bulk::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::Config`] for less than a microsecond.
    pub fn every(period: Duration) -> Result<Self, TaskError> {
        let period = i64::try_from(period.as_micros()).unwrap_or(i64::MAX);
        if period == 0 {
            return Err(TaskError::Config("a schedule needs a period"));
        }
        Ok(Self::from_fn(move |after| {
            let passed = to_micros(after) / period;
            passed.checked_add(1)?.checked_mul(period).map(from_micros)
        }))
    }

    /// At the times that `next` gives: the first one after its argument, or `None` for never again.
    pub fn from_fn(
        next: impl Fn(SystemTime) -> Option<SystemTime> + Send + Sync + 'static,
    ) -> Self {
        Self {
            next: Arc::new(next),
        }
    }

    /// The first time after `time`.
    #[must_use]
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        (self.next)(time)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schedule")
    }
}

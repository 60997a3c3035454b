use super::Schedule;
use crate::error::TaskError;
use chrono::{DateTime, Utc};
use croner::Cron;
use std::str::FromStr;
use std::time::SystemTime;

impl Schedule {
    /// By a cron expression of five fields, in UTC: minute, hour, day of month, month, day of week. A sixth
    /// field in front has the seconds.
    ///
    /// ```
    /// use perf_bulk::Schedule;
    /// use std::time::{Duration, SystemTime};
    ///
    /// let weekdays_at_three = Schedule::cron("0 3 * * MON-FRI")?;
    /// let thursday = SystemTime::UNIX_EPOCH; // 1 January 1970
    /// let hours = |hours| Some(thursday + Duration::from_secs(hours * 3_600));
    /// assert_eq!(weekdays_at_three.next_after(thursday), hours(3));
    /// assert_eq!(weekdays_at_three.next_after(hours(27).unwrap()), hours(4 * 24 + 3));
    /// # Ok::<(), perf_bulk::TaskError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError::Config`] when the expression is none.
    pub fn cron(expression: &str) -> Result<Self, TaskError> {
        let cron = Cron::from_str(expression);
        let cron = cron.map_err(|_| TaskError::Config("the cron expression is malformed"))?;
        Ok(Self::from_fn(move |after| {
            let after = DateTime::<Utc>::from(after);
            let next = cron.find_next_occurrence(&after, false).ok()?;
            Some(SystemTime::from(next))
        }))
    }
}

//! What every write is told alike: when to try again, whom to tell how far it is, and which clock to read.

use crate::progress::{Meter, Observer};
use crate::retry::Retry;
use perf_core::{Backoff, Clock, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// How a write goes about it.
pub(crate) struct Course<'p> {
    pub(crate) retry: Backoff,
    pub(crate) observer: Option<Observer<'p>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Course<'_> {
    /// Three more attempts, within about four seconds.
    fn default() -> Self {
        Self {
            retry: Backoff::exponential(Duration::from_millis(50))
                .with_cap(Duration::from_secs(2))
                .with_max_attempts(4),
            observer: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl<'p> Course<'p> {
    /// Begins to count, out of `total` rows.
    pub(crate) fn start(&mut self, total: Option<u64>) -> (Meter<'p>, Retry) {
        let retry = Retry {
            backoff: self.retry,
            clock: Arc::clone(&self.clock),
        };
        let meter = Meter::start(Arc::clone(&self.clock), self.observer.take(), total);
        (meter, retry)
    }
}

/// The setters of a builder that has a [`Course`].
macro_rules! course_setters {
    () => {
        /// When to try again what the database undid for a passing reason, such as a deadlock; by default three
        /// times, after up to 50 ms, 100 ms and 200 ms.
        ///
        /// Never repeated are a COMMIT of unknown outcome, a lost connection, anything inside a transaction of the
        /// caller's, and rows of a lazy input that are gone.
        #[must_use]
        pub const fn retry(mut self, backoff: ::perf_core::Backoff) -> Self {
            self.course.retry = backoff;
            self
        }

        /// Calls `observer` as the operation advances: several times a chunk, and once at its end.
        #[must_use]
        pub fn progress(
            mut self,
            observer: impl FnMut(&$crate::progress::Progress) + Send + 'p,
        ) -> Self {
            self.course.observer = Some(Box::new(observer));
            self
        }

        /// The clock that elapsed time and rates are read from; default
        /// [`SystemClock`](::perf_core::SystemClock).
        #[must_use]
        pub fn clock(mut self, clock: ::std::sync::Arc<dyn ::perf_core::Clock>) -> Self {
            self.course.clock = clock;
            self
        }
    };
}
pub(crate) use course_setters;

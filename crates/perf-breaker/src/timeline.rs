use perf_core::clock::Sleep;
use perf_core::{Clock, Moment};
use std::time::Duration;

/// A clock as one part reads it: from the part's own beginning on.
///
/// Deadlines and arrival times share their words with tags and counts, and their bits last for years of
/// uptime. A clock may count from anywhere, 1970 for one, where those bits have long run out.
#[derive(Debug)]
pub(crate) struct Timeline<K: ?Sized> {
    origin: Moment,
    clock: K,
}

impl<K: Clock> Timeline<K> {
    /// Begins now.
    pub(crate) fn begin(clock: K) -> Self {
        Self {
            origin: clock.now(),
            clock,
        }
    }
}

impl<K: Clock + ?Sized> Timeline<K> {
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        self.since_begin(self.clock.now())
    }

    /// As [`Clock::recent`].
    pub(crate) fn recent(&self) -> Moment {
        self.since_begin(self.clock.recent())
    }

    #[inline]
    fn since_begin(&self, moment: Moment) -> Moment {
        Moment::from_nanos(moment.as_nanos().saturating_sub(self.origin.as_nanos()))
    }

    pub(crate) fn sleep_until(&self, deadline: Moment) -> Sleep {
        let elapsed = deadline.since(Moment::ORIGIN);
        self.clock.sleep_until(self.origin.saturating_add(elapsed))
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

use perf_core::clock::Sleep;
use perf_core::{Clock, Moment};
use std::sync::Arc;
use std::time::SystemTime;

/// One clock for all parts of a limiter.
#[derive(Clone, Debug)]
pub(super) struct SharedClock(pub(super) Arc<dyn Clock>);

impl Clock for SharedClock {
    fn now(&self) -> Moment {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        self.0.sleep_until(deadline)
    }
}

use crate::expiry::Tick;
use perf_core::clock::Sleep;
use perf_core::{Clock, CoarseClock, Moment};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// The cache's clock. The default is called directly: a hit is too short for a virtual call.
#[derive(Clone, Debug)]
pub(crate) enum Time {
    Coarse(CoarseClock),
    Given(Arc<dyn Clock>),
}

impl Time {
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Coarse(clock) => clock.now(),
            Self::Given(clock) => clock.now(),
        }
    }

    #[inline]
    pub(crate) fn tick(&self) -> Tick {
        Tick::of(self.now())
    }

    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Self::Coarse(clock) => clock.wall(),
            Self::Given(clock) => clock.wall(),
        }
    }

    /// Waits for `duration`; forever where the default clock has no runtime to wait on.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        match self {
            Self::Coarse(_) if Handle::try_current().is_err() => Box::pin(std::future::pending()),
            Self::Coarse(clock) => clock.sleep(duration),
            Self::Given(clock) => clock.sleep(duration),
        }
    }
}

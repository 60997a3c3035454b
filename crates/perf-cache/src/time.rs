use crate::expiry::Tick;
use perf_core::clock::Sleep;
use perf_core::{Clock, CoarseClock, Moment};
use std::future::poll_fn;
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
    #[inline(always)]
    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Coarse(clock) => clock.now(),
            Self::Given(clock) => told_by(&**clock),
        }
    }

    #[inline(always)]
    pub(crate) fn tick(&self) -> Tick {
        Tick::of(self.now())
    }

    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Self::Coarse(clock) => clock.wall(),
            Self::Given(clock) => clock.wall(),
        }
    }

    /// Waits for `duration`, by the timer of `runtime` where the default clock has none of its own.
    pub(crate) fn sleep_on(&self, runtime: &Handle, duration: Duration) -> Sleep {
        match self {
            Self::Coarse(clock) if Handle::try_current().is_err() => {
                let (mut sleep, runtime) = (clock.sleep(duration), runtime.clone());
                Box::pin(poll_fn(move |context| {
                    let _entered = runtime.enter();
                    sleep.as_mut().poll(context)
                }))
            }
            Self::Coarse(_) | Self::Given(_) => self.sleep(duration),
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

/// Out of line, so that the default clock's callers do not carry it.
#[inline(never)]
fn told_by(clock: &dyn Clock) -> Moment {
    clock.now()
}

#[cfg(target_os = "linux")]
mod kernel;

use super::{Clock, Moment, Sleep, moment::saturating_nanos};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The operating system's time, or tokio's where that can be paused, so that a test under
/// `tokio::time::pause` controls it.
///
/// All `SystemClock`s of a process share one origin, at least 1 s before the first reading; moments of two
/// of them may be compared. Reading needs no runtime; sleeping needs tokio's.
///
/// On Linux [`Clock::recent`] is the time of the kernel's last tick, for a fifth of a reading's price. It
/// lags by up to 1 to 10 ms, as the kernel was built. Elsewhere, and where tokio's feature `test-util` is
/// on, it is [`Clock::now`].
///
/// # Panics
///
/// [`Clock::sleep_until`] panics outside a tokio runtime or in one built without its timer.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use perf_core::{Clock, SystemClock};
/// use std::time::Duration;
///
/// let before = SystemClock.now();
/// SystemClock.sleep(Duration::from_secs(3600)).await; // paused time: returns at once
/// assert_eq!(SystemClock.now().since(before).as_secs(), 3600);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A moment of 0 reads as "long ago" in tests and logs; starting 1 s in keeps it distinct.
const HEAD_START: Duration = Duration::from_secs(1);

impl Clock for SystemClock {
    // Neither reading is inlined: that would swell calls that take no time for want of a limit.
    fn now(&self) -> Moment {
        kernel::now().unwrap_or_else(tokio_now)
    }

    fn recent(&self) -> Moment {
        kernel::last_tick().unwrap_or_else(tokio_now)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        // Only the distance is known to both axes. A deadline that overflows tokio's own is "never".
        let distance = deadline.since(self.now());
        Box::pin(async move {
            if deadline == Moment::NEVER {
                std::future::pending::<()>().await;
            }
            // A timer of zero length would still cost a turn of the runtime.
            if !distance.is_zero() {
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                tokio::time::sleep(distance).await;
            }
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn tokio_now() -> Moment {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    let origin = ORIGIN.get_or_init(|| now.checked_sub(HEAD_START).unwrap_or(now));
    Moment::from_nanos(saturating_nanos(now.saturating_duration_since(*origin)))
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::Moment;

    pub(super) const fn now() -> Option<Moment> {
        None
    }

    pub(super) const fn last_tick() -> Option<Moment> {
        None
    }
}

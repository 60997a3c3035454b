use super::{Clock, Moment, Sleep, moment::saturating_nanos};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The operating system's time, read through tokio, so that a test under `tokio::time::pause` controls
/// it.
///
/// All `SystemClock`s of a process share one origin, 1 s before the first reading; moments of two of
/// them may be compared. Reading needs no runtime; sleeping needs tokio's.
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
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Moment {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(origin(now));
        Moment::from_nanos(saturating_nanos(elapsed + HEAD_START))
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

fn origin(first: Instant) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(|| first)
}

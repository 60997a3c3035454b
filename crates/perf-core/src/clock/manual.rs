use super::{Clock, Moment, Sleep, moment::saturating_nanos};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// A clock that moves only when told to. Clones share their time.
///
/// It starts 1 s after its origin and at the Unix epoch. It is no part of any runtime: waits complete
/// wherever they are polled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use perf_core::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// let wait = tokio::spawn(clock.sleep(Duration::from_secs(60)));
/// clock.advance(Duration::from_secs(60));
/// wait.await.unwrap();
/// assert_eq!(clock.now().since(start), Duration::from_secs(60));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    now: AtomicU64,
    moved: Notify,
}

const START: u64 = 1_000_000_000;

impl ManualClock {
    /// A clock that stands still.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                now: AtomicU64::new(START),
                moved: Notify::new(),
            }),
        }
    }

    /// Moves the clock forward and wakes every wait whose deadline it reaches.
    pub fn advance(&self, duration: Duration) {
        let step = saturating_nanos(duration);
        // The closure never declines, so the result carries nothing.
        let _previous = self
            .shared
            .now
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                Some(now.saturating_add(step))
            });
        self.shared.moved.notify_waiters();
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        Moment::from_nanos(self.shared.now.load(Ordering::Acquire))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.now().as_nanos() - START)
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        let clock = self.clone();
        Box::pin(async move {
            loop {
                let moved = clock.shared.moved.notified();
                tokio::pin!(moved);
                // Enrol before the check: an `advance` between the two must not be missed.
                moved.as_mut().enable();
                if clock.now() >= deadline {
                    return;
                }
                moved.await;
            }
        })
    }
}

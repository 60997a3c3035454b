use super::{Clock, Moment, Sleep, SystemClock};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// A clock that costs one relaxed load to read and lags by about [`CoarseClock::RESOLUTION`].
///
/// One thread of the process copies the [`SystemClock`] into an atomic every few milliseconds; it starts
/// with the first `CoarseClock` and lives as long as the process. A starved machine lets the copy lag
/// further, never run backwards. Use it where a deadline of tens of milliseconds or more is checked on a
/// path so short that a clock read would double it. It knows nothing of tokio's paused time: tests
/// inject a [`ManualClock`](super::ManualClock).
///
/// Reading the kernel's own coarse clock instead costs 5 to 6 ns and has no lag beyond its 4 ms tick.
/// The thread wins because a cache hit of 40 ns pays for the reading each time, and the thread wakes
/// 200 times a second whatever the load.
///
/// ```
/// use perf_core::{Clock, CoarseClock};
///
/// let clock = CoarseClock::start();
/// let before = clock.now();
/// while clock.now() == before {
///     std::thread::yield_now();
/// }
/// assert!(clock.now() > before);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CoarseClock {
    running: bool,
}

static COPY: AtomicU64 = AtomicU64::new(0);

impl CoarseClock {
    /// How often the copy is renewed.
    pub const RESOLUTION: Duration = Duration::from_millis(5);

    /// A handle on the process's coarse clock, which the first call starts.
    ///
    /// Where no thread can be had, readings fall back to the precise clock.
    #[must_use]
    pub fn start() -> Self {
        static RUNNING: OnceLock<bool> = OnceLock::new();
        let running = *RUNNING.get_or_init(|| {
            COPY.store(SystemClock.now().as_nanos(), Ordering::Relaxed);
            std::thread::Builder::new()
                .name("perf-coarse-clock".into())
                .spawn(copy_forever)
                .is_ok()
        });
        Self { running }
    }
}

impl Default for CoarseClock {
    fn default() -> Self {
        Self::start()
    }
}

impl Clock for CoarseClock {
    #[inline]
    fn now(&self) -> Moment {
        if self.running {
            Moment::from_nanos(COPY.load(Ordering::Relaxed))
        } else {
            SystemClock.now()
        }
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall()
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        SystemClock.sleep_until(deadline)
    }
}

fn copy_forever() {
    loop {
        std::thread::sleep(CoarseClock::RESOLUTION);
        COPY.fetch_max(SystemClock.now().as_nanos(), Ordering::Relaxed);
    }
}

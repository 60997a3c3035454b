//! CPU time of all threads of this process.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How long a peer's collector may take to have swept up a round: it wakes every 50 ms, and then works.
const SWEEP: Duration = Duration::from_millis(150);

/// The CPU time that `work` costs, on whatever thread.
pub(crate) fn of(work: impl FnOnce()) -> Duration {
    let start = now();
    work();
    now() - start
}

/// As [`of`], with what a collector thread does about it afterwards.
pub(crate) fn with_collector(work: impl FnOnce()) -> Duration {
    of(|| {
        work();
        std::thread::sleep(SWEEP);
    })
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("CPU time is positive")
}

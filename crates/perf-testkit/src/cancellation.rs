//! Dropping a future at every point where a caller could have dropped it.
//!
//! A future can be dropped between any two polls, and there are two such moments after each poll: while it
//! waits, and when it has been woken but not polled again. The second is where a waiter that was just handed
//! a permit, a connection or a message can lose it. [`cancel_at_every_poll`] tries both after every poll,
//! and a run of the future up to its end, instead of a random sample of them.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a future may wait for a wake, in real time, before the harness calls it stuck.
const IDLE: Duration = Duration::from_secs(10);
const POLLS_MAX: usize = 10_000;

/// Where a future was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DropPoint {
    /// How often it had been polled.
    pub polls: usize,
    /// Whether it had been woken after its last poll.
    pub woken: bool,
    /// Whether it had completed, in which case its output was dropped with it.
    pub completed: bool,
}

/// Builds futures with `make_future`, drops each at another point, and awaits `check` after each drop.
///
/// For k = 0, 1, 2, … a fresh future is polled k times and dropped, once while it waits and once after its
/// next wake; between polls the harness waits for the future's wake, as a runtime does. It ends with the
/// round in which the future completes, after that round's check, and returns how many polls
/// completion took. It must be awaited inside a tokio runtime, of either flavour, paused or not: the wait for a
/// wake is no timer, so paused time moves on to the future's own timers.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use perf_testkit::cancel_at_every_poll;
/// use tokio::sync::Semaphore;
///
/// let permits = Semaphore::new(1);
/// let work = || async {
///     let _permit = permits.acquire().await.unwrap();
///     tokio::task::yield_now().await;
/// };
/// let polls = cancel_at_every_poll(work, |point| {
///     assert_eq!(permits.available_permits(), 1, "a permit is lost at {point:?}");
///     async {}
/// })
/// .await;
/// assert_eq!(polls, 2);
/// # }
/// ```
///
/// # Panics
///
/// When a future waits for more than 10 s for a wake that does not come, and when it has not
/// completed after 10,000 polls.
///
/// # Cancel safety
///
/// Dropping it drops the future of the current round.
pub async fn cancel_at_every_poll<F, C>(
    mut make_future: impl FnMut() -> F,
    mut check: impl FnMut(DropPoint) -> C,
) -> usize
where
    F: Future,
    C: Future<Output = ()>,
{
    for polls in 0..=POLLS_MAX {
        for woken in [false, true] {
            if polls == 0 && woken {
                continue; // Nothing wakes what was never polled.
            }
            let point = drop_at(make_future(), polls, woken).await;
            check(point).await;
            if point.completed {
                return point.polls;
            }
        }
    }
    panic!("the future has not completed after {POLLS_MAX} polls");
}

/// Polls `future` up to `polls` times, where asked waits for one more wake, and drops it.
async fn drop_at<F: Future>(future: F, polls: usize, woken: bool) -> DropPoint {
    let mut future = pin!(future);
    let wakes = Wakes::watched();
    for poll in 1..=polls {
        let completed = wakes.poll(future.as_mut()).is_ready();
        if completed || poll == polls && !woken {
            return DropPoint {
                polls: poll,
                woken: false,
                completed,
            };
        }
        wakes.next().await;
    }
    DropPoint {
        polls,
        woken,
        completed: false,
    }
}

/// The wakes of one future, and the watch over their absence.
struct Wakes {
    bell: Arc<Bell>,
    waker: Waker,
    /// Told of each poll; its end is the watch's end.
    polled: mpsc::Sender<()>,
}

#[derive(Default)]
struct Bell {
    rung: Notify,
    stuck: AtomicBool,
}

impl Wakes {
    fn watched() -> Self {
        let bell = Arc::new(Bell::default());
        let (polled, polls) = mpsc::channel();
        let watched = Arc::clone(&bell);
        // A thread, since a timer of the runtime would go off at once under paused time.
        thread::spawn(move || watched.watch(&polls));
        Self {
            waker: Waker::from(Arc::clone(&bell)),
            bell,
            polled,
        }
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        let _watching = self.polled.send(());
        future.poll(&mut Context::from_waker(&self.waker))
    }

    async fn next(&self) {
        self.bell.rung.notified().await;
        let stuck = self.bell.stuck.load(Ordering::Acquire);
        assert!(!stuck, "the future has waited {IDLE:?} for a wake");
        // A future that wakes itself must not keep the runtime from others.
        tokio::task::yield_now().await;
    }
}

impl Bell {
    fn watch(&self, polls: &mpsc::Receiver<()>) {
        loop {
            match polls.recv_timeout(IDLE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.stuck.store(true, Ordering::Release);
                    self.rung.notify_one();
                    return;
                }
            }
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.notify_one();
    }
}

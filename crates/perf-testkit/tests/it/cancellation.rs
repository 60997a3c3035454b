//! The harness drops at every point, finds a permit that is lost between wake and poll, and never hangs.

use perf_testkit::{DropPoint, cancel_at_every_poll};
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;

#[tokio::test]
async fn every_point_is_visited_once_and_in_order() {
    let points = RefCell::new(Vec::new());
    let work = || async {
        yield_now().await;
        yield_now().await;
    };
    let polls = cancel_at_every_poll(work, |point| {
        points.borrow_mut().push(show(point));
        async {}
    })
    .await;
    assert_eq!(polls, 3);
    let expected = ["0", "1", "1 woken", "2", "2 woken", "3 completed"];
    assert_eq!(*points.borrow(), expected);
}

#[tokio::test]
async fn the_future_is_dropped_before_the_check() {
    struct Held<'a>(&'a AtomicUsize);
    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let held = AtomicUsize::new(0);
    let work = || async {
        held.fetch_add(1, Ordering::Relaxed);
        let guard = Held(&held);
        yield_now().await;
        guard
    };
    let check = |_| async { assert_eq!(held.load(Ordering::Relaxed), 0) };
    assert_eq!(cancel_at_every_poll(work, check).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wake_from_another_thread_is_waited_for() {
    let work = || async {
        let (sender, receiver) = oneshot::channel();
        std::thread::spawn(move || sender.send(5));
        receiver.await
    };
    let polls = cancel_at_every_poll(work, |_| async {}).await;
    assert!((1..=2).contains(&polls), "{polls}");
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the timer itself is under test")]
async fn paused_time_moves_on_to_the_futures_own_timers() {
    let day = Duration::from_secs(86_400);
    let work = || async move {
        tokio::time::sleep(day).await;
        tokio::time::sleep(day).await;
    };
    assert_eq!(cancel_at_every_poll(work, |_| async {}).await, 3);
}

/// A gate that hands its only permit to a waiter when it wakes it, and never takes it back.
#[derive(Default)]
struct Leaky {
    permits: AtomicUsize,
    waiting: Mutex<Option<Waker>>,
    handed: AtomicBool,
}

impl Leaky {
    async fn acquire(&self) {
        poll_fn(|context| {
            if self.handed.swap(false, Ordering::AcqRel) {
                return Poll::Ready(());
            }
            *self.waiting.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.permits.fetch_add(1, Ordering::AcqRel);
    }

    fn release(&self) {
        if let Some(waiting) = self.waiting.lock().unwrap().take() {
            self.permits.fetch_sub(1, Ordering::AcqRel);
            self.handed.store(true, Ordering::Release);
            waiting.wake();
        }
    }
}

#[tokio::test]
#[should_panic(expected = "lost at 1 woken")]
async fn a_permit_that_is_lost_between_wake_and_poll_is_found() {
    let gate = Arc::new(Leaky::default());
    gate.permits.store(1, Ordering::Release);
    let work = || async {
        let other = Arc::clone(&gate);
        // It runs when the harness waits for the wake, hence not before a drop that does not wait.
        tokio::spawn(async move { other.release() });
        gate.acquire().await;
    };
    let check = |point| {
        let left = gate.permits.load(Ordering::Acquire);
        *gate.waiting.lock().unwrap() = None;
        assert_eq!(left, 1, "lost at {}", show(point));
        async {}
    };
    cancel_at_every_poll(work, check).await;
}

#[tokio::test]
#[should_panic(expected = "has waited 10s for a wake")]
async fn a_future_that_is_never_woken_is_reported() {
    cancel_at_every_poll(pending::<()>, |_| async {}).await;
}

fn show(point: DropPoint) -> String {
    let word = match (point.woken, point.completed) {
        (true, _) => " woken",
        (_, true) => " completed",
        _ => "",
    };
    format!("{}{word}", point.polls)
}

//! Parallel work: order, limits, errors, panics, cancellation and chunks.

use futures_util::stream::{iter, pending};
use futures_util::{FutureExt, StreamExt};
use perf_bulk::{Adaptive, chunked, par_map, par_map_cpu};
use perf_core::ManualClock;
use proptest::prelude::*;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::yield_now;

/// Counts who is inside, and the most there ever were.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

struct Inside(Gauge);

impl Gauge {
    fn enter(&self) -> Inside {
        let now = self.0.0.fetch_add(1, SeqCst) + 1;
        self.0.1.fetch_max(now, SeqCst);
        Inside(self.clone())
    }

    fn now(&self) -> usize {
        self.0.0.load(SeqCst)
    }

    fn most(&self) -> usize {
        self.0.1.load(SeqCst)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, SeqCst);
    }
}

/// Yields a number of times that differs from item to item.
async fn dawdle(number: usize) -> usize {
    for _ in 0..number * 7_919 % 13 {
        yield_now().await;
    }
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_come_in_order_or_as_they_are_ready_and_never_above_the_limit() {
    for limit in [0, 1, 3, 50] {
        let gauge = Gauge::default();
        let work = |gauge: Gauge| {
            move |number| {
                let inside = gauge.enter();
                async move {
                    let output = dawdle(number).await;
                    drop(inside);
                    output
                }
            }
        };
        let ordered = par_map(iter(0..500), work(gauge.clone())).concurrency(limit);
        assert_eq!(
            ordered.collect::<Vec<_>>().await,
            (0..500).collect::<Vec<_>>()
        );
        let unordered = par_map(iter(0..500), work(gauge.clone())).concurrency(limit);
        let mut outputs: Vec<_> = unordered.unordered().collect().await;
        outputs.sort_unstable();
        assert_eq!(outputs, (0..500).collect::<Vec<_>>());
        assert!(gauge.most() <= limit.max(1), "{} of {limit}", gauge.most());
    }
}

#[tokio::test]
async fn one_that_is_ready_overtakes_when_order_does_not_matter() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let work = move |number: usize| {
        let gate = Arc::clone(&gate);
        async move {
            if number == 0 {
                gate.acquire().await.unwrap().forget();
            }
            number
        }
    };
    let mut outputs = par_map(iter(0..3), work).unordered();
    let first = [outputs.next().await, outputs.next().await];
    assert!(!first.contains(&Some(0)));
    open.add_permits(1);
    assert_eq!(
        (outputs.next().await, outputs.next().await),
        (Some(0), None)
    );
}

#[tokio::test]
async fn a_slow_first_item_does_not_let_the_others_fill_the_memory() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let work = move |number: usize| {
        count.fetch_add(1, SeqCst);
        async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut outputs = par_map(iter(0..10_000), work).concurrency(5);
    for _ in 0..1_000 {
        assert!(outputs.next().now_or_never().is_none());
        yield_now().await;
    }
    assert_eq!(started.load(SeqCst), 20);
}

#[tokio::test]
async fn nothing_starts_that_was_not_asked_for() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let work = move |number: usize| {
        count.fetch_add(1, SeqCst);
        async move { number }
    };
    let mut outputs = par_map(iter(0..100), work).concurrency(2).unordered();
    yield_now().await;
    assert_eq!(started.load(SeqCst), 0);
    outputs.next().await;
    assert!(started.load(SeqCst) <= 3);
}

#[tokio::test]
async fn the_first_error_stops_the_rest() {
    let gauge = Gauge::default();
    let inside = gauge.clone();
    let work = move |number: usize| {
        let inside = inside.enter();
        async move {
            let _inside = inside;
            if number == 3 {
                return Err("three");
            }
            std::future::pending().await
        }
    };
    let outcome: Result<Vec<()>, _> = par_map(iter(0..100), work)
        .concurrency(4)
        .first_error()
        .await;
    assert_eq!(outcome, Err("three"));
    crate::tasks::until(async || gauge.now() == 0).await;
}

#[tokio::test]
async fn all_results_are_collected_in_order() {
    let work = |number: usize| async move {
        dawdle(number).await;
        if number.is_multiple_of(3) {
            Err(number)
        } else {
            Ok(number)
        }
    };
    let results = par_map(iter(0..100), work).collect_all().await;
    for (result, number) in results.into_iter().zip(0..) {
        assert_eq!(
            result,
            if number % 3 == 0 {
                Err(number)
            } else {
                Ok(number)
            }
        );
    }
    let values = par_map(iter(0..9), |number| async move { Ok::<_, ()>(number) });
    assert_eq!(values.first_error().await, Ok((0..9).collect()));
}

#[tokio::test]
async fn a_panic_goes_on_in_whoever_waits() {
    let work = |number: usize| async move { assert_ne!(number, 5, "five") };
    let all = AssertUnwindSafe(par_map(iter(0..10), work).collect::<Vec<_>>());
    let panic = all.catch_unwind().await.unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("five"));
}

#[tokio::test]
async fn dropping_it_stops_what_runs() {
    let gauge = Gauge::default();
    let inside = gauge.clone();
    let work = move |_: usize| {
        let inside = inside.enter();
        async move {
            let _inside = inside;
            std::future::pending::<()>().await;
        }
    };
    let mut outputs = par_map(iter(0..10), work).concurrency(4);
    assert!(outputs.next().now_or_never().is_none());
    assert_eq!(gauge.now(), 4);
    drop(outputs);
    crate::tasks::until(async || gauge.now() == 0).await;
}

#[tokio::test]
async fn items_may_come_slowly() {
    let (send, receive) = mpsc::unbounded_channel();
    let items = futures_util::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|item| (item, receive))
    });
    let mut outputs = par_map(items.boxed(), |number: usize| async move { number + 1 });
    assert!(outputs.next().now_or_never().is_none());
    for number in 0..20 {
        send.send(number).unwrap();
        assert_eq!(outputs.next().await, Some(number + 1));
    }
    drop(send);
    assert_eq!(outputs.next().await, None);
}

#[tokio::test]
async fn an_adaptive_limit_stays_small_where_calls_fail() {
    let gauge = Gauge::default();
    let inside = gauge.clone();
    let work = move |number: usize| {
        let inside = inside.enter();
        async move {
            dawdle(number).await;
            // Overloaded beyond ten.
            let outcome = if inside.0.now() > 10 { Err(()) } else { Ok(()) };
            drop(inside);
            outcome
        }
    };
    let outputs = par_map(iter(0..5_000), work).unordered();
    let outputs = outputs.adaptive(Adaptive::between(1, 1_000), Result::is_err);
    let outcomes: Vec<_> = outputs.collect().await;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(gauge.most() < 60, "{} at a time", gauge.most());
    assert!(failed < 2_500, "{failed} of 5,000 failed");
}

#[tokio::test]
async fn cpu_bound_work_runs_elsewhere_in_order() {
    let here = std::thread::current().id();
    let squares = par_map_cpu((0..10_000_u64).collect(), move |number| {
        assert_ne!(std::thread::current().id(), here);
        number * number
    });
    for (square, number) in squares.await.into_iter().zip(0..) {
        assert_eq!(square, number * number);
    }
    let panics = par_map_cpu(vec![1, 2], |number| assert_ne!(number, 2, "two"));
    let panic = AssertUnwindSafe(panics).catch_unwind().await.unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("two"));
}

#[tokio::test]
async fn dropped_cpu_bound_work_begins_no_further_item() {
    let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (count, first) = (Arc::clone(&begun), Arc::clone(&gate));
    let (send, release) = std::sync::mpsc::channel::<()>();
    let release = parking_lot::Mutex::new(release);
    let work = par_map_cpu((0..100_000).collect::<Vec<u32>>(), move |_| {
        count.fetch_add(1, SeqCst);
        first.notify_one();
        // Ends when the sender is dropped.
        let _released = release.lock().recv();
    });
    gate.notified().await;
    drop(work);
    drop(send);
    let threads = rayon::current_num_threads();
    crate::tasks::until(async || Arc::strong_count(&begun) == 1).await;
    assert!(
        begun.load(SeqCst) <= threads,
        "{} begun",
        begun.load(SeqCst)
    );
}

#[tokio::test]
async fn a_chunk_lingers_as_told() {
    let clock = ManualClock::new();
    let (send, receive) = mpsc::unbounded_channel();
    let items = futures_util::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|item| (item, receive))
    });
    let chunks = chunked(items, 3)
        .linger(Duration::from_secs(1))
        .clock(Arc::new(clock.clone()));
    let mut chunks = std::pin::pin!(chunks);
    send.send(1).unwrap();
    assert!(chunks.next().now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert_eq!(chunks.next().now_or_never(), Some(Some(vec![1])));
    for item in 2..6 {
        send.send(item).unwrap();
    }
    assert_eq!(
        chunks.next().now_or_never(),
        Some(Some(vec![2, 3, 4])),
        "full"
    );
    assert!(chunks.next().now_or_never().is_none());
    drop(send);
    assert_eq!(chunks.next().await, Some(vec![5]));
    assert_eq!(chunks.next().await, None);
    let mut never = chunked(pending::<u8>(), 3);
    assert!(never.next().now_or_never().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the naive way: cut where the next item would be one too many or too heavy.
    #[test]
    fn chunks_are_those_of_the_naive_way(
        items in proptest::collection::vec(0_usize..40, 0..60),
        max_items in 0_usize..6,
        max_bytes in 1_usize..80,
    ) {
        let mut expected: Vec<Vec<usize>> = Vec::new();
        for item in &items {
            match expected.last_mut() {
                Some(last) if last.len() < max_items.max(1)
                    && last.iter().sum::<usize>() + item <= max_bytes => last.push(*item),
                _ => expected.push(vec![*item]),
            }
        }
        let chunks = chunked(iter(items), max_items).max_bytes(max_bytes, |item| *item);
        let chunks: Vec<_> = chunks.collect().now_or_never().unwrap();
        prop_assert_eq!(chunks, expected);
    }
}

#[tokio::test]
async fn a_limit_beyond_all_numbers_is_none() {
    let map = par_map(iter(0..10), async |number| number);
    let numbers: Vec<_> = map.concurrency(usize::MAX).collect().await;
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
}

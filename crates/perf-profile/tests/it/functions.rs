use crate::support::calls;
use perf_profile::{FunctionStats, Profiler, Snapshot, profiled, span};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Truncated calls have no names; whoever counts them holds this.
static TRUNCATING: Mutex<()> = Mutex::new(());

fn stats<'a>(snapshot: &'a Snapshot, name: &str) -> &'a FunctionStats {
    snapshot
        .functions()
        .iter()
        .find(|function| function.name == name)
        .unwrap()
}

#[test]
fn own_time_is_what_callees_do_not_account_for() {
    let profiler = Profiler::builder().build();
    {
        let _outer = span!("outer");
        for _ in 0..3 {
            let _inner = span!("inner");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let snapshot = profiler.snapshot();
    let (outer, inner) = (stats(&snapshot, "outer"), stats(&snapshot, "inner"));
    assert!(inner.cumulative >= Duration::from_millis(6));
    assert_eq!(inner.own, inner.cumulative);
    let sum = outer.own + inner.cumulative;
    // Each figure is rounded to a nanosecond by itself.
    assert!(sum.abs_diff(outer.cumulative) <= Duration::from_nanos(2));
}

#[test]
fn call_paths_tell_who_called() {
    fn leaf() {
        let _span = span!("path leaf");
    }
    let profiler = Profiler::builder().build();
    {
        let _span = span!("path left");
        leaf();
    }
    {
        let _span = span!("path right");
        leaf();
        leaf();
    }
    let snapshot = profiler.snapshot();
    let paths = snapshot.call_paths();
    let mut callers: Vec<_> = paths
        .iter()
        .filter(|path| path.name == "path leaf")
        .map(|path| (paths[path.parent.unwrap()].name, path.calls))
        .collect();
    callers.sort_unstable();
    assert_eq!(callers, [("path left", 1), ("path right", 2)]);
}

#[test]
fn a_recursive_call_counts_its_time_once() {
    fn recurse(depth: u32) {
        let _span = span!("recursive");
        if depth > 0 {
            recurse(depth - 1);
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let profiler = Profiler::builder().build();
    recurse(9);
    let snapshot = profiler.snapshot();
    let recursive = stats(&snapshot, "recursive");
    assert_eq!(recursive.calls, 10);
    assert_eq!(
        recursive.cumulative.max(recursive.latency.max / 2),
        recursive.cumulative
    );
    assert!(
        recursive.cumulative < recursive.latency.sum / 5,
        "{recursive:?}"
    );
}

#[test]
fn recursion_beyond_every_limit_is_counted_as_truncated() {
    fn recurse(depth: u32) {
        let _span = span!("bottomless");
        if depth > 0 {
            recurse(depth - 1);
        }
    }
    let _alone = TRUNCATING.lock().unwrap_or_else(PoisonError::into_inner);
    let profiler = Profiler::builder().build();
    let before = profiler.snapshot().truncated_calls();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| recurse(9_999));
        }
    });
    let snapshot = profiler.snapshot();
    let recorded = calls(&snapshot, "bottomless");
    assert_eq!(recorded, 8 * 128);
    assert_eq!(recorded + snapshot.truncated_calls() - before, 80_000);
}

#[test]
fn a_panic_ends_its_calls() {
    let profiler = Profiler::builder().build();
    let outcome = std::panic::catch_unwind(|| {
        let _outer = span!("unwound outer");
        let _inner = span!("unwound inner");
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(outcome.is_err());
    drop(span!("after unwinding"));
    let snapshot = profiler.snapshot();
    assert_eq!(calls(&snapshot, "unwound outer"), 1);
    let after = snapshot
        .call_paths()
        .iter()
        .find(|path| path.name == "after unwinding")
        .unwrap();
    assert_eq!((after.parent, after.calls), (None, 1));
}

#[test]
fn spans_that_end_out_of_order_mislead_no_later_one() {
    let profiler = Profiler::builder().build();
    let thread = std::thread::spawn(|| {
        {
            let _caller = span!("forgetful");
            std::mem::forget(span!("forgotten"));
        }
        for _ in 0..300 {
            let first = span!("ended first");
            let second = span!("ended late");
            drop(first);
            drop(second);
        }
        drop(span!("innocent"));
    });
    thread.join().unwrap();
    let snapshot = profiler.snapshot();
    assert_eq!(calls(&snapshot, "ended first"), 300);
    assert_eq!(calls(&snapshot, "ended late"), 300);
    let paths = snapshot.call_paths();
    let innocent = paths.iter().find(|path| path.name == "innocent").unwrap();
    assert_eq!((innocent.parent, innocent.calls), (None, 1));
}

#[test]
fn code_in_destructors_of_thread_locals_is_safe_to_profile() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            drop(span!("at the thread's end"));
        }
    }
    thread_local!(static LAST: Last = const { Last });
    let _alone = TRUNCATING.lock().unwrap_or_else(PoisonError::into_inner);
    let profiler = Profiler::builder().build();
    let before = profiler.snapshot().truncated_calls();
    for _ in 0..10 {
        let thread = std::thread::spawn(|| {
            LAST.with(|_| ());
            drop(span!("at the thread's end"));
        });
        thread.join().unwrap();
    }
    // Whether a destructor runs before or after the lane has gone, it is counted in one place.
    let snapshot = profiler.snapshot();
    let recorded = calls(&snapshot, "at the thread's end");
    assert!((10..=20).contains(&recorded), "{recorded}");
    assert!(recorded + snapshot.truncated_calls() - before >= 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_and_waiting_time_of_futures_are_told_apart() {
    let profiler = Profiler::builder().build();
    let work = || async {
        std::thread::sleep(Duration::from_millis(2));
        tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>())
            .await
            .unwrap_err();
    };
    let tasks: Vec<_> = (0..10)
        .map(|_| tokio::spawn(profiled(work(), || span!("waits"))))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let snapshot = profiler.snapshot();
    let waits = stats(&snapshot, "waits");
    assert_eq!((waits.calls, waits.polls, waits.cancelled), (10, 20, 0));
    assert!(waits.cumulative >= Duration::from_millis(20), "{waits:?}");
    assert!(waits.idle >= Duration::from_millis(190), "{waits:?}");
    // The parts are rounded one by one, at ten calls.
    let wall = waits.cumulative + waits.idle;
    assert!(
        wall.abs_diff(waits.latency.sum) <= Duration::from_nanos(20),
        "{waits:?}"
    );
}

#[tokio::test]
async fn a_future_dropped_half_way_is_cancelled_and_one_never_polled_is_nothing() {
    let profiler = Profiler::builder().build();
    let mut started = Box::pin(profiled(std::future::pending::<()>(), || span!("dropped")));
    assert!(futures_poll(started.as_mut()).is_pending());
    drop(started);
    drop(profiled(std::future::pending::<()>(), || span!("dropped")));
    let snapshot = profiler.snapshot();
    let dropped = stats(&snapshot, "dropped");
    assert_eq!((dropped.calls, dropped.polls, dropped.cancelled), (0, 1, 1));
}

fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

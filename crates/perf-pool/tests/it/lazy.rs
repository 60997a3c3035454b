use crate::support::{Refused, TestResult, poll_at_most};
use perf_core::{Backoff, Clock, ManualClock, SystemClock};
use perf_pool::{AsyncLazy, LazyError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Counts its runs; the first `failures` of them fail, after a pause.
fn counted(failures: u64, runs: &Arc<AtomicU64>) -> AsyncLazy<u64, Refused> {
    let clock = ManualClock::new();
    let backoff = Backoff::constant(Duration::from_secs(1));
    counted_on(clock, backoff, failures, runs)
}

fn counted_on(
    clock: ManualClock,
    backoff: Backoff,
    failures: u64,
    runs: &Arc<AtomicU64>,
) -> AsyncLazy<u64, Refused> {
    let runs = Arc::clone(runs);
    let make = move || {
        let run = runs.fetch_add(1, SeqCst);
        async move {
            SystemClock.sleep(Duration::from_millis(20)).await;
            if run < failures {
                Err(Refused("not yet"))
            } else {
                Ok(run)
            }
        }
    };
    AsyncLazy::with_backoff(make, backoff, clock)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_callers_of_whom_most_leave_cause_one_run() -> TestResult {
    let runs = Arc::default();
    let lazy = counted(0, &runs);
    let tasks: Vec<_> = (0..10_000)
        .map(|caller| {
            let lazy = lazy.clone();
            tokio::spawn(async move {
                let polls = if caller % 10 == 0 { usize::MAX } else { 1 };
                poll_at_most(polls, lazy.get()).await
            })
        })
        .collect();
    let mut served = 0;
    for task in tasks {
        if let Some(value) = task.await? {
            assert_eq!(*value?, 0);
            served += 1;
        }
    }
    assert_eq!((served, runs.load(SeqCst)), (1_000, 1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_all_who_waited_and_is_not_retried_at_once() -> TestResult {
    let runs = Arc::default();
    let clock = ManualClock::new();
    let backoff = Backoff::constant(Duration::from_secs(1));
    let lazy = counted_on(clock.clone(), backoff, 1, &runs);
    let outcomes = futures_util::future::join_all((0..5).map(|_| lazy.get())).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(LazyError::Failed(_))))
    );
    assert!(lazy.get().await.is_err());
    assert_eq!(runs.load(SeqCst), 1);
    clock.advance(Duration::from_secs(1));
    assert_eq!(*lazy.get().await?, 1);
    assert_eq!(lazy.peek().as_deref(), Some(&1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reset_drops_the_value_and_the_run_that_makes_it() -> TestResult {
    let runs = Arc::default();
    let lazy = counted(0, &runs);
    assert_eq!(*lazy.get().await?, 0);
    lazy.reset();
    assert!(lazy.peek().is_none());
    assert!(poll_at_most(1, lazy.get()).await.is_none());
    lazy.reset();
    assert_eq!(*lazy.get().await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_panic_lets_the_next_run_start() -> TestResult {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let lazy: AsyncLazy<u64, Refused> = AsyncLazy::new(move || {
        let run = counted.fetch_add(1, SeqCst);
        async move {
            assert!(run > 0, "on purpose");
            Ok(run)
        }
    });
    assert_eq!(*lazy.get().await?, 1);
    Ok(())
}

#[test]
fn without_a_runtime_there_is_a_clear_error() {
    let lazy = counted(0, &Arc::default());
    let outcome = futures_util::FutureExt::now_or_never(lazy.get());
    assert!(matches!(outcome, Some(Err(LazyError::NoRuntime))));
}

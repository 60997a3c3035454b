//! Load under paused time: every figure has an exact answer.

use perf_core::{Clock, SystemClock};
use perf_profile::{LoadTest, ProfileError, Stages, StressTest, Target};
use std::convert::Infallible;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn users(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// A server that answers in 1 ms but stands still for the first second of each ten.
fn stalling() -> impl Target {
    let start = SystemClock.now();
    move |_number| async move {
        let into_period = SystemClock.now().since(start).as_millis() % 10_000;
        if into_period < 1_000 {
            let rest = u64::try_from(1_000 - into_period).unwrap();
            SystemClock.sleep(Duration::from_millis(rest)).await;
        }
        SystemClock.sleep(Duration::from_millis(1)).await;
        Ok::<_, Infallible>(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_open_model_sees_a_stall_as_everybody_does() {
    // One request in ten comes while the server stands still and waits 0 to 1 s, evenly spread, so one in
    // a hundred waits 0.9 s or longer.
    let test = LoadTest::open(&Stages::at(200.0).hold(2 * MINUTE)).unwrap();
    let report = test.run(stalling()).await.unwrap();
    assert_eq!((report.succeeded, report.failed()), (24_000, 0));
    let p99 = report.latency.quantile(0.99).as_secs_f64();
    assert!((p99 / 0.901 - 1.0).abs() <= 0.05, "{p99}");

    let random = test
        .clone()
        .random_arrivals(42)
        .run(stalling())
        .await
        .unwrap();
    let p99 = random.latency.quantile(0.99).as_secs_f64();
    assert!((p99 / 0.901 - 1.0).abs() <= 0.05, "{p99}");
}

#[tokio::test(start_paused = true)]
async fn the_closed_model_sees_the_stall_once() {
    let test = LoadTest::closed(users(1), 2 * MINUTE).unwrap();
    let report = test.run(stalling()).await.unwrap();
    let p99 = report.latency.quantile(0.99).as_secs_f64();
    assert!(p99 < 0.901 / 10.0, "{p99}");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_too_many_unanswered_counts_as_latency() {
    let slow = |_number| async {
        SystemClock.sleep(SECOND).await;
        Ok::<_, Infallible>(())
    };
    let test = LoadTest::open(&Stages::at(10.0).hold(SECOND)).unwrap();
    let report = test.max_unanswered(users(1)).run(slow).await.unwrap();
    assert_eq!((report.succeeded, report.delayed), (10, 9));
    let longest = report.latency.quantile(1.0).as_secs_f64();
    assert!((longest / 9.1 - 1.0).abs() < 0.02, "{longest}");
    let service = report.service.quantile(1.0).as_secs_f64();
    assert!((service - 1.0).abs() < 0.02, "{service}");
    assert!(report.elapsed >= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn every_request_ends_as_success_or_as_one_failure() {
    let target = |number: u64| async move {
        match number % 5 {
            0 => panic!("a defect of the target"),
            1 => Err(format!("reason {}", number % 7)),
            2 => pending().await,
            _ => Ok(()),
        }
    };
    for test in [
        LoadTest::open(&Stages::at(100.0).hold(SECOND)).unwrap(),
        LoadTest::closed(users(3), MINUTE)
            .unwrap()
            .max_requests(100),
    ] {
        let report = test.timeout(SECOND).run(target).await.unwrap();
        assert_eq!((report.succeeded, report.failed()), (40, 60));
        assert_eq!(
            (report.failures["panicked"], report.failures["timed out"]),
            (20, 20)
        );
        assert!((report.error_rate() - 0.6).abs() < 1e-9);
    }
}

#[tokio::test(start_paused = true)]
async fn reasons_of_failures_are_bounded() {
    let target = |number: u64| async move { Err::<(), _>(number) };
    let test = LoadTest::open(&Stages::at(1_000.0).hold(SECOND)).unwrap();
    let report = test.run(target).await.unwrap();
    assert_eq!(report.failures.len(), 33);
    assert_eq!(report.failures["other"], 1_000 - 32);
}

#[tokio::test(start_paused = true)]
async fn warm_up_is_sent_and_not_counted() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let target = move |_number| {
        counter.fetch_add(1, Relaxed);
        async { Ok::<_, Infallible>(()) }
    };
    let test = LoadTest::open(&Stages::at(10.0).hold(SECOND)).unwrap();
    let report = test.warm_up(2 * SECOND).run(target).await.unwrap();
    assert_eq!((sent.load(Relaxed), report.succeeded), (30, 10));
    assert_eq!(report.elapsed, SECOND);
    assert!((report.throughput() - 10.0).abs() < 1e-9);
    let by_slice: u64 = report.timeline.iter().map(|slice| slice.succeeded).sum();
    assert_eq!(by_slice, 10);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_leaves_nothing_behind() {
    struct Open(Arc<AtomicUsize>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Relaxed);
        }
    }
    for test in [
        LoadTest::open(&Stages::at(100.0).hold(MINUTE)).unwrap(),
        LoadTest::closed(users(50), MINUTE).unwrap(),
    ] {
        let open = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&open);
        let target = move |_number| {
            counter.fetch_add(1, Relaxed);
            let open = Open(Arc::clone(&counter));
            async move {
                let _open = open;
                pending::<Result<(), Infallible>>().await
            }
        };
        let run = tokio::time::timeout(SECOND, test.run(target)).await;
        assert!(run.is_err());
        while open.load(Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

struct Unreachable;

impl Target for Unreachable {
    type Error = &'static str;

    async fn send(&self, _number: u64) -> Result<(), Self::Error> {
        unreachable!("no load may be sent")
    }

    async fn probe(&self) -> Result<(), Self::Error> {
        Err("connection refused")
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_target_gets_no_load() {
    let test = LoadTest::open(&Stages::at(1.0).hold(SECOND)).unwrap();
    let error = test.run(Unreachable).await.unwrap_err();
    let reason = "connection refused".to_owned();
    assert_eq!(error, ProfileError::TargetUnreachable { reason });
    assert!(error.is_transient());
    let stress = StressTest::new(1.0, 2.0).unwrap().run(Unreachable).await;
    assert!(matches!(
        stress,
        Err(ProfileError::TargetUnreachable { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_stress_test_stops_at_errors_too() {
    let seen = Arc::new(AtomicU64::new(0));
    let target = move |_number| {
        let late = seen.fetch_add(1, Relaxed) >= 300;
        async move { if late { Err("full") } else { Ok(()) } }
    };
    let stress = StressTest::new(100.0, 2.0).unwrap().hold(SECOND);
    let report = stress.run(target).await.unwrap();
    assert_eq!(report.knee(), Some(200.0));
    let last = report.steps.last().unwrap();
    assert!(!last.kept_up && last.report.failures["full"] == 400);
}

#[test]
fn senseless_tests_are_refused() {
    let invalid = |error| matches!(error, ProfileError::InvalidLoad { .. });
    assert!(invalid(LoadTest::open(&Stages::at(5.0)).unwrap_err()));
    assert!(invalid(
        LoadTest::closed(users(1), Duration::ZERO).unwrap_err()
    ));
    for (rate, factor) in [
        (0.0, 2.0),
        (f64::NAN, 2.0),
        (1.0, 1.0),
        (1.0, f64::INFINITY),
    ] {
        assert!(invalid(StressTest::new(rate, factor).unwrap_err()));
    }
}

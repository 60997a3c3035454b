use perf_core::{Clock, CoarseClock, ManualClock, Moment, SystemClock};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_system_clock_follows_tokios_paused_time() {
    let start = SystemClock.now();
    SystemClock.sleep(3_600 * SECOND).await;
    assert_eq!(SystemClock.now().since(start), 3_600 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_recent_reading_follows_tokios_paused_time() {
    let start = SystemClock.recent();
    SystemClock.sleep(3_600 * SECOND).await;
    assert_eq!(SystemClock.recent().since(start), 3_600 * SECOND);
}

#[test]
fn a_recent_reading_never_leads() {
    let manual = ManualClock::new();
    assert_eq!(manual.recent(), manual.now());
    for clock in [&SystemClock as &dyn Clock, &CoarseClock::start(), &manual] {
        for _ in 0..10_000 {
            assert!(clock.recent() <= clock.now(), "{clock:?}");
        }
    }
}

#[tokio::test]
async fn a_past_deadline_is_ready_at_the_first_poll() {
    for clock in [
        Arc::new(ManualClock::new()) as Arc<dyn Clock>,
        Arc::new(SystemClock),
    ] {
        let mut sleep = clock.sleep_until(Moment::ORIGIN);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(
            sleep.as_mut().poll(&mut context),
            Poll::Ready(()),
            "{clock:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn never_is_not_an_overflow() {
    let mut never = SystemClock.sleep_until(Moment::NEVER);
    let waited = tokio::time::timeout(1_000_000 * SECOND, &mut never).await;
    assert!(waited.is_err());
    assert_eq!(
        SystemClock.now().saturating_add(Duration::MAX),
        Moment::NEVER
    );
}

#[tokio::test]
async fn a_manual_clock_wakes_those_and_only_those_whose_time_has_come() {
    let clock = ManualClock::new();
    let (early, late) = (clock.sleep(SECOND), clock.sleep(2 * SECOND));
    let early = tokio::spawn(early);
    let late = tokio::spawn(late);
    tokio::task::yield_now().await;
    clock.advance(SECOND);
    early.await.unwrap();
    tokio::task::yield_now().await;
    assert!(!late.is_finished());
    clock.advance(SECOND);
    late.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost_between_check_and_wait() {
    for _ in 0..2_000 {
        let clock = ManualClock::new();
        let wait = tokio::spawn(clock.sleep(SECOND));
        clock.advance(SECOND);
        tokio::time::timeout(10 * SECOND, wait)
            .await
            .expect("woken")
            .unwrap();
    }
}

#[test]
fn manual_wall_time_moves_with_the_clock() {
    let clock = ManualClock::new();
    let wall = clock.wall();
    clock.advance(SECOND);
    assert_eq!(clock.wall().duration_since(wall).unwrap(), SECOND);
}

#[test]
fn the_coarse_clock_never_leads_the_precise_one_nor_runs_backwards() {
    let clock = CoarseClock::start();
    let mut previous = clock.now();
    for _ in 0..100_000 {
        let coarse = clock.now();
        assert!(coarse >= previous && coarse <= SystemClock.now());
        previous = coarse;
    }
}

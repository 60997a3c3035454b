//! What a half-open breaker admits, and what becomes of its permits.

use crate::support::{MS, OPEN_TIME, SECOND, builder, due, fail, succeed};
use perf_breaker::{CircuitBreaker, Outcome, Permit, State};
use perf_core::ManualClock;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_concurrent_callers_get_exactly_the_configured_probes() {
    for probes in 1..=5_u16 {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock).probes(probes));
        let (reached, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let before = breaker.snapshot().rejected;
        let mut callers = JoinSet::new();
        for _ in 0..10_000 {
            let (reached, answer) = (reached.clone(), answer.clone());
            callers.spawn(breaker.call_owned(async move {
                reached.fetch_add(1, Ordering::Relaxed);
                answer.acquire().await.map(drop)
            }));
        }
        // A probe keeps its permit until every other caller has been refused.
        while breaker.snapshot().rejected - before < 10_000 - u64::from(probes) {
            tokio::task::yield_now().await;
        }
        answer.add_permits(usize::from(probes));
        let replies = callers.join_all().await;
        assert_eq!(reached.load(Ordering::Relaxed), usize::from(probes));
        assert_eq!(
            replies.iter().filter(|reply| reply.is_ok()).count(),
            usize::from(probes)
        );
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn racing_threads_get_exactly_the_configured_probes() {
    for _ in 0..200 {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock).probes(3));
        let (start, admitted) = (Barrier::new(4), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    let permits: Vec<_> = (0..3).filter_map(|_| breaker.admit().ok()).collect();
                    admitted.fetch_add(permits.len(), Ordering::Relaxed);
                    std::mem::forget(permits);
                });
            }
        });
        assert_eq!(admitted.into_inner(), 3);
    }
}

#[test]
fn two_of_three_successes_close_it_and_two_failures_open_it_for_longer() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock));
    succeed(&breaker);
    fail(&breaker);
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().calls, 0);

    let breaker = due(&clock, builder(&clock));
    for expected in [10, 20, 40, 60, 60] {
        fail(&breaker);
        fail(&breaker);
        assert_eq!(breaker.state(), State::Open);
        let left = breaker.admit().unwrap_err().retry_after;
        assert_eq!(left.as_secs(), expected);
        clock.advance(left);
    }
    succeed(&breaker);
    succeed(&breaker);
    fail(&breaker);
    assert_eq!(
        breaker.admit().unwrap_err().retry_after.as_secs(),
        OPEN_TIME.as_secs()
    );
}

#[test]
fn a_slow_probe_has_failed() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock).slow_calls(SECOND, 0.9).probes(1));
    let probe = breaker.admit().unwrap();
    clock.advance(SECOND);
    probe.success();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn an_ignored_probe_gives_its_permit_to_the_next_and_closes_nothing() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock).probes(1));
    for _ in 0..1_000 {
        breaker.admit().unwrap().record(Outcome::Ignore);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn probes_that_hang_are_replaced_after_their_lease_and_speak_for_nobody() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock).probes(2).probe_lease(3 * SECOND));
    let hung = [breaker.admit().unwrap(), breaker.admit().unwrap()];
    let refusal = breaker.admit().unwrap_err();
    assert_eq!(refusal.state, State::HalfOpen);
    clock.advance(refusal.retry_after - 2 * MS);
    assert!(breaker.admit().is_err());
    clock.advance(2 * MS);
    let fresh = breaker.admit().unwrap();
    hung.into_iter().for_each(Permit::failure);
    assert_eq!(breaker.state(), State::HalfOpen);
    fresh.success();
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed);
}

/// The upstream has recovered, but every call takes longer than the lease.
#[test]
fn probes_slower_than_their_lease_close_it_all_the_same() {
    for taken in [8, 70, 600] {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock));
        let mut under_way = VecDeque::new();
        for second in 0..3_600 {
            while under_way.front().is_some_and(|(end, _)| *end <= second) {
                let (_, permit): (u32, Permit<'_>) = under_way.pop_front().unwrap();
                permit.success();
            }
            if let Ok(permit) = breaker.admit() {
                under_way.push_back((second + taken, permit));
            }
            clock.advance(SECOND);
        }
        assert_eq!(breaker.state(), State::Closed, "{taken} s");
    }
}

#[test]
fn leases_double_while_probes_hang_up_to_an_hour() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock).probes(1));
    let leases = (0..12).map(|_| {
        std::mem::forget(breaker.admit().unwrap());
        let left = breaker.admit().unwrap_err().retry_after;
        clock.advance(left);
        left.as_secs()
    });
    let leases: Vec<_> = leases.collect();
    assert_eq!(
        leases,
        [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]
    );
}

#[test]
fn a_probe_given_out_late_has_its_whole_lease() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock));
    succeed(&breaker);
    clock.advance(2 * OPEN_TIME);
    let mut late: Vec<_> = (0..10_000).filter_map(|_| breaker.admit().ok()).collect();
    assert_eq!(late.len(), 2);
    assert!(breaker.admit().unwrap_err().retry_after >= OPEN_TIME);
    late.remove(0).success();
    assert_eq!(breaker.state(), State::Closed);
}

/// The tags of generations repeat: what matters is that nothing breaks then.
#[test]
fn a_probe_as_old_as_there_are_generations_changes_nothing() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock));
    let probe = breaker.admit().unwrap();
    (0..1 << 20).for_each(|_| breaker.reset());
    probe.failure();
    assert_eq!(
        (breaker.state(), breaker.snapshot().calls),
        (State::Closed, 0)
    );
}

#[test]
fn a_late_result_of_the_closed_time_closes_nothing_and_trips_nothing() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .consecutive_failures(1)
        .probes(1)
        .build()
        .unwrap();
    let mut late: Vec<_> = (0..100).map(|_| breaker.admit().unwrap()).collect();
    fail(&breaker);
    clock.advance(breaker.admit().unwrap_err().retry_after);
    let probe = breaker.admit().unwrap();
    late.drain(..50).for_each(Permit::success);
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    late.drain(..).for_each(Permit::failure);
    assert_eq!(
        (breaker.state(), breaker.snapshot().calls),
        (State::Closed, 0)
    );
}

/// 100,000 probes end in every way there is; afterwards the breaker still has all its permits.
#[tokio::test]
async fn no_way_to_end_a_probe_leaks_its_permit() {
    let clock = ManualClock::new();
    let breaker = due(
        &clock,
        builder(&clock)
            .probes(3)
            .slow_calls(Duration::from_secs(3600), 0.9),
    );
    let mut random = fastrand::Rng::with_seed(11);
    std::panic::set_hook(Box::new(|_| {}));
    for _ in 0..100_000 {
        if let Err(refusal) = breaker.admit().map(drop) {
            clock.advance(refusal.retry_after);
        }
        let polls = random.u8(..4);
        let work = Box::pin(breaker.call(yields(polls, random.bool())));
        end_at_random(work, &mut random);
    }
    drop(std::panic::take_hook());
    breaker.reset();
    let breaker_is_whole = || {
        fail_until_open(&breaker);
        clock.advance(breaker.admit().unwrap_err().retry_after);
        let permits: Vec<_> = std::iter::from_fn(|| breaker.admit().ok()).collect();
        permits.len()
    };
    assert_eq!(breaker_is_whole(), 3);
}

fn fail_until_open(breaker: &CircuitBreaker) {
    while breaker.state() == State::Closed {
        fail(breaker);
    }
}

/// A future that is pending `polls` times and then panics or succeeds.
async fn yields(polls: u8, panics: bool) -> Result<(), ()> {
    for _ in 0..polls {
        tokio::task::yield_now().await;
    }
    assert!(!panics, "the call panics");
    Ok(())
}

/// Polls a future up to three times and drops it, by hand or while a panic unwinds.
fn end_at_random<F: Future + Unpin>(mut work: F, random: &mut fastrand::Rng) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polls = random.u8(..4);
    // The panic is the point.
    let _ended = catch_unwind(AssertUnwindSafe(move || {
        for _ in 0..polls {
            if std::pin::Pin::new(&mut work).poll(&mut context).is_ready() {
                return;
            }
        }
        drop(work);
    }));
}

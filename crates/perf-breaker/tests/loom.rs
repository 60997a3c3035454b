//! Every interleaving, up to a bound of preemptions, of what two or three threads do to a breaker.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p perf-breaker --test loom`
#![cfg(loom)]

#[path = "loom/registry.rs"]
mod registry;

use loom::thread;
use perf_breaker::{
    BreakerBuilder, CircuitBreaker, KeyedLimiter, Permit, Quota, RateLimiter, State,
};
use perf_core::ManualClock;
use std::time::Duration;

const OPEN_TIME: Duration = Duration::from_secs(1);

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

fn builder(clock: &ManualClock) -> BreakerBuilder {
    CircuitBreaker::builder("model")
        .clock(clock.clone())
        .count_window(2)
        .min_calls(2)
        .failure_rate(1.0)
        .consecutive_failures(0)
        .open_for(OPEN_TIME)
        .open_jitter(0.0)
        .probes(1)
}

fn windows(clock: &ManualClock) -> [CircuitBreaker; 2] {
    let millisecond = Duration::from_millis(1);
    [
        builder(clock).build().unwrap(),
        builder(clock)
            .time_window(2 * millisecond, 2)
            .build()
            .unwrap(),
    ]
}

/// Open, with the open time over.
fn due(clock: &ManualClock, builder: BreakerBuilder) -> CircuitBreaker {
    let breaker = builder.build().unwrap();
    for _ in 0..2 {
        breaker.admit().unwrap().failure();
    }
    assert_eq!(breaker.state(), State::Open);
    clock.advance(2 * OPEN_TIME);
    breaker
}

fn keep(permit: Result<Permit<'static>, perf_breaker::Rejection>) -> usize {
    permit.map_or(0, |permit| {
        std::mem::forget(permit);
        1
    })
}

type Work = Box<dyn FnOnce() -> usize + Send>;

fn probe(breaker: &CircuitBreaker) -> Work {
    let breaker = breaker.clone();
    Box::new(move || keep(breaker.admit_owned()))
}

fn act(work: impl FnOnce() + Send + 'static) -> Work {
    Box::new(move || {
        work();
        0
    })
}

/// Runs the closures at once and returns when all have ended.
fn race(works: Vec<Work>) -> usize {
    let threads: Vec<_> = works.into_iter().map(thread::spawn).collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum()
}

#[test]
fn three_callers_of_a_due_breaker_get_one_probe() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock));
        let works = (0..3).map(|_| probe(&breaker)).collect();
        assert_eq!(race(works), 1);
    });
}

#[test]
fn callers_after_the_lease_get_one_probe() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock));
        assert_eq!(keep(breaker.admit_owned()), 1);
        clock.advance(2 * OPEN_TIME);
        let works = (0..2).map(|_| probe(&breaker)).collect();
        assert_eq!(race(works), 1);
    });
}

/// The lease is over, and its probe is given back just as somebody replaces it.
#[test]
fn an_overdue_probe_that_is_given_back_is_given_out_once() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock));
        let overdue = breaker.admit_owned().unwrap();
        clock.advance(2 * OPEN_TIME);
        let next = breaker.clone();
        let give_back: Work = Box::new(move || {
            drop(overdue);
            keep(next.admit_owned())
        });
        assert_eq!(race(vec![give_back, probe(&breaker)]), 1);
    });
}

#[test]
fn two_failures_at_once_trip_it_once() {
    model(|| {
        let clock = ManualClock::new();
        for breaker in windows(&clock) {
            let permits = [
                breaker.admit_owned().unwrap(),
                breaker.admit_owned().unwrap(),
            ];
            let works = permits.into_iter().map(|permit| act(|| permit.failure()));
            race(works.collect());
            assert_eq!(
                (breaker.state(), breaker.snapshot().opened),
                (State::Open, 1)
            );
        }
    });
}

/// The old result races with the change of generation and with the first call after it.
#[test]
fn a_late_result_leaves_no_trace_in_the_next_generation() {
    for which in 0..2 {
        model(move || {
            let clock = ManualClock::new();
            let [first, second] = windows(&clock);
            let breaker = if which == 0 { first } else { second };
            let late = breaker.admit_owned().unwrap();
            let next = breaker.clone();
            race(vec![
                act(move || {
                    late.failure();
                }),
                act(move || {
                    next.reset();
                    next.admit().unwrap().success();
                }),
            ]);
            let after = breaker.snapshot();
            assert_eq!((after.calls, after.failures), (1, 0));
            assert_eq!(breaker.state(), State::Closed);
        });
    }
}

/// A late result that found its slot before the generation ended must not drive out who came after.
#[test]
fn a_late_result_takes_no_slot_of_the_next_generation() {
    model(|| {
        let clock = ManualClock::new();
        let [breaker, _] = windows(&clock);
        let late = breaker.admit_owned().unwrap();
        let next = breaker.clone();
        race(vec![
            act(move || late.failure()),
            act(move || {
                next.reset();
                next.admit().unwrap().failure();
            }),
        ]);
        assert_eq!(breaker.snapshot().failures, 1);
        for _ in 0..2 {
            breaker.admit().unwrap().success();
        }
        assert_eq!(breaker.snapshot().failures, 0);
    });
}

/// Whatever order two recorders write slots and counts in, the counts forget with the slots.
#[test]
fn counts_follow_the_slots() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = builder(&clock)
            .count_window(1)
            .min_calls(1)
            .slow_calls(OPEN_TIME, 1.0);
        let breaker = breaker.without_failure_rate().build().unwrap();
        let permits = [
            breaker.admit_owned().unwrap(),
            breaker.admit_owned().unwrap(),
        ];
        let mut failed = true;
        let works = permits.into_iter().map(|permit| {
            failed = !failed;
            act(move || {
                if failed {
                    permit.failure()
                } else {
                    permit.success()
                }
            })
        });
        race(works.collect());
        breaker.admit().unwrap().success();
        let after = breaker.snapshot();
        assert_eq!((after.calls, after.failures), (1, 0));
    });
}

/// Neither of two failures after a success may see the other among fewer calls than there are.
#[test]
fn failures_are_never_judged_among_too_few_calls() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = builder(&clock).count_window(4).build().unwrap();
        breaker.admit().unwrap().success();
        let permits = [
            breaker.admit_owned().unwrap(),
            breaker.admit_owned().unwrap(),
        ];
        let works = permits.map(|permit| act(|| permit.failure()));
        race(works.into());
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// Two callers come to the next lap at once: what was there goes, what they count stays.
#[test]
fn a_bucket_is_emptied_before_anyone_counts_in_it() {
    model(|| {
        let clock = ManualClock::new();
        let [_, breaker] = windows(&clock);
        breaker.admit().unwrap().failure();
        clock.advance(Duration::from_millis(2));
        let works = (0..2).map(|_| {
            let breaker = breaker.clone();
            act(move || breaker.admit().unwrap().success())
        });
        race(works.collect());
        let after = breaker.snapshot();
        assert_eq!((after.calls, after.failures), (2, 0));
    });
}

/// One probe is dropped while another succeeds: the dropped one's permit is free again, once.
#[test]
fn a_dropped_probe_returns_its_permit() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock).probes(2).probe_successes(2));
        let (dropped, good) = (
            breaker.admit_owned().unwrap(),
            breaker.admit_owned().unwrap(),
        );
        race(vec![
            act(move || {
                drop(dropped);
            }),
            act(move || {
                good.success();
            }),
        ]);
        assert_eq!(breaker.state(), State::HalfOpen);
        let permit = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        permit.success();
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// Two results that each decide: the breaker takes one decision and counts afresh.
#[test]
fn the_last_probes_decide_once() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = due(&clock, builder(&clock).probes(2).probe_successes(1));
        let (bad, good) = (
            breaker.admit_owned().unwrap(),
            breaker.admit_owned().unwrap(),
        );
        race(vec![
            act(move || {
                bad.failure();
            }),
            act(move || {
                good.success();
            }),
        ]);
        assert_eq!(
            (breaker.state(), breaker.snapshot().calls),
            (State::Closed, 0)
        );
    });
}

/// A key's first calls race: it is put in once, and each call is charged.
#[test]
fn a_key_is_put_in_once() {
    model(|| {
        let limiter = limiter("3/hour");
        let works = (0..2).map(|_| {
            let limiter = limiter.clone();
            Box::new(move || usize::from(limiter.check(&7_u64).is_allowed())) as Work
        });
        assert_eq!(race(works.collect()), 2);
        assert_eq!(limiter.peek(&7_u64).remaining(), 1);
    });
}

/// The quota changes between one and two limits while two callers check: what was taken stays taken, in
/// whichever of its two places the limiter keeps it.
#[test]
fn a_quota_that_changes_while_it_is_checked_admits_no_call_twice() {
    for before in ["1/hour", "1/hour; 1/day"] {
        model(move || {
            let quotas = [before, "1/hour"].map(|quota| quota.parse::<Quota>().unwrap());
            let limiter = RateLimiter::with_clock(&quotas[0], ManualClock::new());
            let limiter = std::sync::Arc::new(limiter);
            let caller = || {
                let limiter = limiter.clone();
                Box::new(move || usize::from(limiter.check().is_allowed())) as Work
            };
            let change = limiter.clone();
            let works = vec![caller(), caller(), act(move || change.change(&quotas[1]))];
            assert_eq!(race(works), 1);
        });
    }
}

/// The same of a key.
#[test]
fn a_keys_quota_that_changes_while_it_is_checked_admits_no_call_twice() {
    model(|| {
        let limiter = limiter("2/hour");
        assert!(limiter.check(&7_u64).is_allowed());
        let caller = || {
            let limiter = limiter.clone();
            Box::new(move || usize::from(limiter.check(&7_u64).is_allowed())) as Work
        };
        let change = limiter.clone();
        let change = act(move || change.change(&"2/hour".parse().unwrap()).unwrap());
        assert_eq!(race(vec![caller(), caller(), change]), 1);
    });
}

fn limiter(quota: &str) -> std::sync::Arc<KeyedLimiter<ManualClock>> {
    let quota = quota.parse().unwrap();
    std::sync::Arc::new(KeyedLimiter::with_clock(&quota, 1, ManualClock::new()).unwrap())
}

/// Good calls that write nothing beside a failure that does: the failure is never lost.
#[test]
fn a_failure_enters_a_window_full_of_good_calls() {
    model(|| {
        let clock = ManualClock::new();
        let breaker = builder(&clock)
            .failure_rate(0.5)
            .min_calls(2)
            .build()
            .unwrap();
        (0..2).for_each(|_| breaker.admit().unwrap().success());
        let (good, bad) = (breaker.clone(), breaker.clone());
        let works = vec![
            act(move || drop(good.admit_owned().map(Permit::success))),
            act(move || drop(bad.admit_owned().map(Permit::failure))),
        ];
        assert_eq!(race(works), 0);
        assert_eq!(breaker.state(), State::Open);
    });
}

/// A limit of one, three callers: never two at once, and every slot comes back.
#[test]
fn an_adaptive_limit_is_never_passed() {
    use perf_breaker::{AdaptiveLimit, Aimd, Slot};

    model(|| {
        let policy = Aimd::between(1, 1).unwrap();
        let limit = AdaptiveLimit::with_clock("model", policy, ManualClock::new());
        let enter = || {
            let limit = limit.clone();
            act(move || {
                if let Ok(slot) = limit.admit() {
                    assert_eq!(limit.under_way(), 1);
                    Slot::finish(slot);
                }
            })
        };
        assert_eq!(race(vec![enter(), enter(), enter()]), 0);
        assert_eq!(limit.under_way(), 0);
        assert!(limit.admit().is_ok());
    });
}

/// One place, one seat in the queue, two callers that come and go: neither place nor seat is lost.
#[test]
fn a_bulkhead_gets_everything_back() {
    use perf_breaker::Bulkhead;

    model(|| {
        let bulkhead = Bulkhead::builder("model", 1).queue(1).build().unwrap();
        let come_and_go = || {
            let bulkhead = bulkhead.clone();
            act(move || {
                let mut entry = Box::pin(bulkhead.enter());
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                // Whether it got a place, a seat or a refusal: it is dropped.
                let _entry = entry.as_mut().poll(&mut context);
            })
        };
        assert_eq!(race(vec![come_and_go(), come_and_go()]), 0);
        assert_eq!((bulkhead.under_way(), bulkhead.waiting()), (0, 0));
    });
}

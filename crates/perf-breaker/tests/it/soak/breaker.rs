//! Random histories against the reference: same admissions, same waits, same states, same counts.

use super::cases;
use super::reference::{End, Reference, Settings, Window};
use crate::support::MS;
use perf_breaker::{CircuitBreaker, Outcome};
use perf_core::{Clock, ManualClock};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    Settle(usize, End),
    Wait(Duration),
    Reset,
}

fn settings() -> impl Strategy<Value = Settings> {
    let window = prop_oneof![
        (1..12_usize).prop_map(Window::Calls),
        (1..50_u32, 1..6_u128).prop_map(|(bucket, buckets)| Window::Time {
            bucket: bucket * MS,
            buckets
        }),
    ];
    let rate = || prop_oneof![Just((1, 2)), Just((1, 1)), Just((1, 10)), Just((3, 4))];
    let slow = prop::option::of((5..40_u32, rate()).prop_map(|(limit, rate)| (limit * MS, rate)));
    let times = (1..100_u32, 1..100_u32, prop::option::of(1..60_u32));
    (
        window,
        prop::option::of(rate()),
        slow,
        0..5_usize,
        1..10_usize,
        1..5_usize,
        1..5_usize,
        times,
    )
        .prop_map(
            |(
                window,
                failure_rate,
                slow,
                consecutive,
                min_calls,
                probes,
                needed,
                (open, lease, timeout),
            )| Settings {
                window,
                failure_rate,
                slow,
                consecutive: if failure_rate.is_none() && slow.is_none() {
                    consecutive.max(1)
                } else {
                    consecutive
                },
                min_calls: match window {
                    Window::Calls(size) => min_calls.min(size),
                    Window::Time { .. } => min_calls,
                },
                open_for: open * MS,
                probes: probes.max(needed),
                needed,
                lease: lease * MS,
                timeout: timeout.map(|timeout| timeout * MS),
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Success),
        5 => Just(End::Failure),
        1 => Just(End::Ignore),
        1 => Just(End::Dropped),
        1 => (1..80_u32).prop_map(|time| End::OpenFor(time * MS)),
    ];
    prop_oneof![
        10 => Just(Step::Admit),
        10 => (any::<usize>(), end).prop_map(|(which, end)| Step::Settle(which, end)),
        4 => (0..60_000_000_u64).prop_map(|nanos| Step::Wait(Duration::from_nanos(nanos))),
        1 => Just(Step::Reset),
    ]
}

fn fraction((over, under): (u64, u64)) -> f64 {
    f64::from(u32::try_from(over).unwrap()) / f64::from(u32::try_from(under).unwrap())
}

fn build(settings: &Settings, clock: &ManualClock) -> CircuitBreaker {
    let mut builder = CircuitBreaker::builder("model")
        .clock(clock.clone())
        .open_for(settings.open_for)
        .open_jitter(0.0)
        .consecutive_failures(u32::try_from(settings.consecutive).unwrap())
        .min_calls(u32::try_from(settings.min_calls).unwrap())
        .probes(u16::try_from(settings.probes).unwrap())
        .probe_successes(u16::try_from(settings.needed).unwrap())
        .probe_lease(settings.lease);
    builder = match settings.window {
        Window::Calls(size) => builder.count_window(size),
        Window::Time { bucket, buckets } => {
            let buckets = u32::try_from(buckets).unwrap();
            builder.time_window(bucket * buckets, buckets as usize)
        }
    };
    builder = match settings.failure_rate {
        Some(rate) => builder.failure_rate(fraction(rate)),
        None => builder.without_failure_rate(),
    };
    if let Some((limit, rate)) = settings.slow {
        builder = builder.slow_calls(limit, fraction(rate));
    }
    if let Some(timeout) = settings.timeout {
        builder = builder.timeout(timeout);
    }
    builder.build().unwrap()
}

fn settle(permit: perf_breaker::Permit<'_>, end: End) {
    match end {
        End::Success => permit.success(),
        End::Failure => permit.failure(),
        End::Ignore => permit.record(Outcome::Ignore),
        End::OpenFor(time) => permit.record(Outcome::OpenFor(time)),
        End::Dropped => drop(permit),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(2_000)))]

    #[test]
    fn a_breaker_behaves_as_its_reference(
        settings in settings(), steps in prop::collection::vec(step(), 1..80),
    ) {
        let clock = ManualClock::new();
        let start = clock.now();
        let breaker = build(&settings, &clock);
        let mut reference = Reference::new(settings);
        let mut permits = Vec::new();
        for step in steps {
            let now = clock.now().since(start);
            match step {
                Step::Admit => match (breaker.admit(), reference.admit(now)) {
                    (Ok(ours), Ok(theirs)) => permits.push((ours, theirs)),
                    (Err(ours), Err(wait)) => prop_assert_eq!(ours.retry_after, wait),
                    (ours, theirs) => prop_assert!(false, "{ours:?} is not {theirs:?}"),
                },
                Step::Settle(which, end) if !permits.is_empty() => {
                    let (ours, theirs) = permits.swap_remove(which % permits.len());
                    settle(ours, end);
                    reference.settle(theirs, end, now);
                }
                Step::Settle(..) => {}
                Step::Wait(time) => clock.advance(time),
                Step::Reset => {
                    breaker.reset();
                    reference.reset();
                }
            }
            let now = clock.now().since(start);
            let ours = breaker.snapshot();
            prop_assert_eq!(ours.state, reference.state);
            let (calls, failures, slow) = reference.counts(now);
            prop_assert_eq!(
                (ours.calls, ours.failures, ours.slow),
                (calls as u64, failures as u64, slow as u64)
            );
        }
    }
}

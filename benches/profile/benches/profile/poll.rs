//! A future of four polls.

use crate::{collector, cpu};
use criterion::Criterion;
use harness::Comparison;
use perf_profile::{Profiler, profiled, span};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

const POLLS: u64 = 4;

/// Is ready at its last poll.
struct Countdown(u64);

impl Future for Countdown {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u64> {
        self.0 -= 1;
        if self.0 == 0 {
            Poll::Ready(POLLS)
        } else {
            Poll::Pending
        }
    }
}

/// Polls futures to completion until they have been polled so many times.
fn repeat<F: Future<Output = u64>>(iterations: u64, future: impl Fn() -> F) {
    let mut context = Context::from_waker(Waker::noop());
    let futures = iterations.div_ceil(POLLS);
    let mut polls = 0;
    for _ in 0..futures {
        let mut future = pin!(future());
        polls += loop {
            if let Poll::Ready(polls) = future.as_mut().poll(&mut context) {
                break polls;
            }
        };
    }
    assert_eq!(polls, futures * POLLS);
}

fn polls(profiler: &Profiler) -> u64 {
    let snapshot = profiler.snapshot();
    let polled = snapshot
        .functions()
        .iter()
        .find(|function| function.name == "polled");
    polled.map_or(0, |function| function.polls)
}

pub(crate) fn enabled(criterion: &mut Criterion) {
    let profiler = Profiler::builder().build();
    collector::start();
    let mut comparison = Comparison::new("profile/async_poll_cpu/enabled");
    comparison.add_timed("perfkit", |iterations| {
        let before = polls(&profiler);
        let cost = cpu::of(|| {
            repeat(iterations, || {
                profiled(Countdown(POLLS), || span!("polled"))
            });
        });
        assert_eq!(
            polls(&profiler) - before,
            iterations.div_ceil(POLLS) * POLLS
        );
        cost
    });
    comparison.add_timed("hotpath", |iterations| {
        cpu::with_collector(|| {
            repeat(iterations, || {
                hotpath::future!(Countdown(POLLS), label = "polled")
            })
        })
    });
    comparison.run(criterion);
}

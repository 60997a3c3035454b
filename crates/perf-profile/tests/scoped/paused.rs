//! Pausing concerns the whole process, so it is tested where nothing else counts functions.

use perf_profile::{FunctionStats, Profiler, Span, profile, profiled, span};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn stats(profiler: &Profiler, name: &str) -> FunctionStats {
    let snapshot = profiler.snapshot();
    let mut functions = snapshot.functions().iter();
    functions
        .find(|function| function.name == name)
        .unwrap()
        .clone()
}

/// Polls a future twice, which then does as `second` says.
fn poll_twice<E: Fn() -> Span>(enter: E, between: impl FnOnce(), second: impl Fn() -> Poll<()>) {
    let mut polls = 0;
    let future = poll_fn(|_| {
        polls += 1;
        if polls == 1 { Poll::Pending } else { second() }
    });
    let mut future = pin!(profiled(future, enter));
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    between();
    _ = future.as_mut().poll(&mut context);
}

#[profile(lines)]
fn paused() -> u32 {
    let mut sum = 0;
    for number in 0..3 {
        sum += number;
    }
    sum
}

// One test, since tests of a binary may share a process.
#[test]
fn what_is_paused_is_not_counted_and_what_has_begun_is_counted_once() {
    let profiler = Profiler::builder().build();
    paused();
    profiler.pause();
    paused();
    profiler.resume();
    let snapshot = profiler.snapshot();
    let lines = snapshot.lines().iter().find(|lines| lines.name == "paused");
    let hits: Vec<_> = lines.unwrap().lines.iter().map(|line| line.hits).collect();
    assert_eq!(hits, [1, 4, 3, 1]);
    assert_eq!(stats(&profiler, "paused").calls, 1);

    let pause = || profiler.pause();
    poll_twice(|| span!("ends while paused"), pause, || Poll::Ready(()));
    profiler.resume();
    let ended = stats(&profiler, "ends while paused");
    assert_eq!((ended.calls, ended.cancelled, ended.polls), (1, 0, 2));
    assert_eq!(ended.latency.count, 1);

    let panicking = || poll_twice(|| span!("panics"), || (), || panic!("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
    let panicked = stats(&profiler, "panics");
    assert_eq!(
        (panicked.calls, panicked.cancelled, panicked.polls),
        (1, 0, 2)
    );
    assert_eq!(panicked.latency.count, 1);
}

//! A stream behind a breaker is one call.

use crate::support::{MS, SECOND, builder, due, fail};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use perf_breaker::{CircuitBreaker, GuardError, Outcome, State};
use perf_core::ManualClock;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Item = Result<u32, &'static str>;

fn calls<C>(breaker: &CircuitBreaker<C>) -> (u64, u64, u64) {
    let now = breaker.snapshot();
    (now.calls, now.failures, now.slow)
}

fn hangs_after(items: Vec<Item>) -> impl Stream<Item = Item> + Unpin {
    stream::iter(items).chain(stream::pending())
}

fn channel() -> (
    tokio::sync::mpsc::UnboundedSender<Item>,
    impl Stream<Item = Item> + Unpin,
) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    (
        sender,
        stream::poll_fn(move |context| receiver.poll_recv(context)),
    )
}

fn read<S: Stream + Unpin>(stream: &mut S) -> Option<Option<S::Item>> {
    stream.next().now_or_never()
}

#[test]
fn a_stream_that_ends_has_succeeded_once() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let items = breaker.stream(stream::iter([1, 2, 3].map(Ok::<_, ()>)));
    assert_eq!(items.count().now_or_never(), Some(3));
    assert_eq!(calls(&breaker), (1, 0, 0));
    let empty = breaker.stream(stream::iter(Vec::<Item>::new()));
    assert_eq!(empty.count().now_or_never(), Some(0));
    assert_eq!(calls(&breaker), (2, 0, 0));
}

#[test]
fn its_first_error_counts_and_what_follows_passes() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let items: Vec<Item> = vec![Ok(1), Err("first"), Ok(2), Err("second")];
    let read: Vec<_> = breaker
        .stream(stream::iter(items))
        .collect()
        .now_or_never()
        .unwrap();
    let expected = [
        Ok(1),
        Err(GuardError::Inner("first")),
        Ok(2),
        Err(GuardError::Inner("second")),
    ];
    assert_eq!(read, expected);
    assert_eq!(calls(&breaker), (1, 1, 0));
}

#[test]
fn a_refusal_is_its_only_item() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(1)
        .build()
        .unwrap();
    fail(&breaker);
    let mut refused = breaker.stream_owned(stream::poll_fn(|_| -> std::task::Poll<Option<Item>> {
        panic!("a refused stream must not be polled")
    }));
    let error = read(&mut refused).unwrap().unwrap().unwrap_err();
    assert!(error.is_rejection() && error.retry_after().is_some());
    assert_eq!(read(&mut refused), Some(None));
    assert_eq!(read(&mut refused), Some(None));
}

#[test]
fn an_ignored_item_gives_a_probe_back() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .consecutive_failures(1)
        .probes(1)
        .classify(|item: &Item| match item {
            Err("mine") => Outcome::Ignore,
            Err(_) => Outcome::Failure,
            Ok(_) => Outcome::Success,
        })
        .build()
        .unwrap();
    fail(&breaker);
    clock.advance(breaker.admit().unwrap_err().retry_after);
    let mut probe = breaker.stream(hangs_after(vec![Ok(1), Err("mine"), Ok(2)]));
    assert_eq!(read(&mut probe), Some(Some(Ok(1))));
    assert!(breaker.admit().is_err());
    assert!(read(&mut probe).unwrap().unwrap().is_err());
    let next = breaker.admit().unwrap();
    assert_eq!(read(&mut probe), Some(Some(Ok(2))));
    drop(probe);
    next.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn only_waits_are_measured() {
    let clock = ManualClock::new();
    let build = || {
        builder(&clock)
            .timeout(10 * SECOND)
            .slow_calls(SECOND, 1.0)
            .build()
            .unwrap()
    };
    let breaker = build();
    let mut items = breaker.stream(stream::iter([1, 2, 3].map(Ok::<_, ()>)));
    while let Some(item) = read(&mut items).unwrap() {
        item.unwrap();
        // The reader takes its time.
        clock.advance(60 * SECOND);
    }
    assert_eq!(calls(&breaker), (1, 0, 0));

    let breaker = build();
    let (sender, receiver) = channel();
    let mut items = breaker.stream(receiver);
    assert_eq!(read(&mut items), None);
    clock.advance(SECOND);
    sender.send(Ok(1)).unwrap();
    assert_eq!(read(&mut items), Some(Some(Ok(1))));
    drop(sender);
    assert_eq!(read(&mut items), Some(None));
    assert_eq!(calls(&breaker), (1, 0, 1));
}

#[test]
fn each_wait_has_the_whole_time_out() {
    let clock = ManualClock::new();
    let breaker = builder(&clock).timeout(SECOND).build().unwrap();
    let (sender, receiver) = channel();
    let mut items = breaker.stream(receiver);
    for item in 0..5 {
        assert_eq!(read(&mut items), None);
        clock.advance(999 * MS);
        assert_eq!(read(&mut items), None);
        sender.send(Ok(item)).unwrap();
        assert_eq!(read(&mut items), Some(Some(Ok(item))));
    }
    assert_eq!(read(&mut items), None);
    clock.advance(SECOND);
    let elapsed = GuardError::Elapsed { limit: SECOND };
    assert_eq!(read(&mut items), Some(Some(Err(elapsed))));
    assert_eq!(read(&mut items), Some(None));
    drop(items);
    assert_eq!(calls(&breaker), (1, 1, 0));
}

#[test]
fn a_dropped_stream_is_judged_by_its_wait_and_by_what_came() {
    let clock = ManualClock::new();
    let breaker = builder(&clock)
        .timeout(10 * SECOND)
        .slow_calls(SECOND, 1.0)
        .build()
        .unwrap();
    for (items, waited, expected) in [
        (vec![], 999 * MS, (0, 0, 0)),
        (vec![], SECOND, (1, 0, 1)),
        (vec![], 10 * SECOND, (1, 1, 1)),
        (vec![Ok(1)], 999 * MS, (1, 0, 0)),
        (vec![Ok(1)], SECOND, (1, 0, 1)),
    ] {
        breaker.reset();
        let mut items = breaker.stream(hangs_after(items));
        while read(&mut items).is_some() {}
        clock.advance(waited);
        drop(items);
        assert_eq!(calls(&breaker), expected, "{waited:?}");
    }
    breaker.reset();
    drop(breaker.stream(hangs_after(vec![Ok(1)])));
    assert_eq!(calls(&breaker), (0, 0, 0));
}

#[test]
fn a_panic_in_a_stream_has_failed() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let panics = stream::poll_fn(|_| -> std::task::Poll<Option<Item>> { panic!("boom") });
    let mut items = breaker.stream(panics);
    assert!(catch_unwind(AssertUnwindSafe(|| read(&mut items))).is_err());
    drop(items);
    assert_eq!(calls(&breaker), (1, 1, 0));
}

#[test]
fn streams_dropped_anywhere_leak_no_probe() {
    let clock = ManualClock::new();
    let breaker = due(&clock, builder(&clock).probes(1));
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..10_000 {
        let items = vec![Ok(1); random.usize(..3)];
        let mut probe = breaker.stream(hangs_after(items));
        for _ in 0..random.usize(..4) {
            // Whatever it says: it is dropped.
            let _item = read(&mut probe);
        }
        drop(probe);
        // A probe that delivered something has closed it.
        if breaker.state() == State::Closed {
            open_until_due(&breaker, &clock);
        }
    }
    let permits: Vec<_> = std::iter::from_fn(|| breaker.admit().ok()).collect();
    assert_eq!(permits.len(), 1);
}

fn open_until_due(breaker: &CircuitBreaker, clock: &ManualClock) {
    while breaker.state() == State::Closed {
        fail(breaker);
    }
    clock.advance(breaker.admit().unwrap_err().retry_after);
}

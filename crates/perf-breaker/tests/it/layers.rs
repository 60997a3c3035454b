//! Bulkhead, guard, hedge, throttle and adaptive limit as tower layers.

use crate::layer::Even;
use crate::support::{MS, TickingClock, builder};
use futures_util::FutureExt;
use perf_breaker::{
    AdaptiveLimit, AdaptiveLimitLayer, Aimd, Bulkhead, BulkheadLayer, Guard, GuardError,
    GuardLayer, Hedge, HedgeLayer, Outcome, Retry, RetryBudget, State, Throttle, ThrottleLayer,
};
use perf_core::{Backoff, ManualClock};
use perf_testkit::allocations::count;
use std::cell::Cell;
use std::future::{Pending, Ready, pending, ready};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tower_layer::Layer;
use tower_service::Service;

#[test]
fn services_of_one_bulkhead_layer_share_its_places() {
    let bulkhead = Bulkhead::builder("test", 1).build().unwrap();
    let layer = BulkheadLayer::new(bulkhead.clone());
    let even = Even::default();
    let (mut first, mut second) = (layer.layer(even.clone()), layer.layer(even.clone()));
    assert_eq!(first.call(2).now_or_never(), Some(Ok(2)));
    let place = bulkhead.try_enter().unwrap();
    let refused = second.clone().call(2).now_or_never().unwrap();
    assert!(matches!(refused, Err(GuardError::Overloaded(_))));
    assert_eq!(even.0.get(), 1, "a refused request does not arrive");
    drop(place);
    assert_eq!(second.call(2).now_or_never(), Some(Ok(2)));
    let request = || assert_eq!(first.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(count(request), 0);
}

fn guard() -> Guard<perf_breaker::AnyError, perf_breaker::NoFallback, TickingClock> {
    let clock = TickingClock::new();
    let retry = Retry::builder()
        .backoff(Backoff::constant(MS))
        .clock(clock.clone())
        .without_budget()
        .build()
        .unwrap();
    Guard::builder().clock(clock).retry(retry).build().unwrap()
}

#[test]
fn a_guarded_request_is_sent_once_for_each_attempt() {
    let even = Even::default();
    let mut service = GuardLayer::new(guard()).layer(even.clone());
    assert_eq!(service.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(
        service.call(3).now_or_never(),
        Some(Err(GuardError::Inner(3)))
    );
    assert_eq!(even.0.get(), 1 + 3);
}

#[test]
fn a_request_that_cannot_be_sent_twice_is_not() {
    let even = Even::default();
    let replay = |request: &u32| (*request > 10).then_some(*request);
    let mut service = GuardLayer::with_replay(guard(), replay).layer(even.clone());
    assert!(service.call(3).now_or_never().unwrap().is_err());
    assert_eq!(even.0.get(), 1);
    assert!(service.call(13).now_or_never().unwrap().is_err());
    assert_eq!(even.0.get(), 1 + 3);
}

#[test]
fn services_of_one_guard_layer_share_its_breaker_and_allocate_nothing() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(2)
        .build()
        .unwrap();
    let guard = Guard::builder().breaker(breaker.clone()).build().unwrap();
    let layer = GuardLayer::new(guard);
    let (mut first, mut second) = (layer.layer(Even::default()), layer.layer(Even::default()));
    let request = || assert_eq!(first.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(count(request), 0);
    assert!(first.call(3).now_or_never().unwrap().is_err());
    assert!(second.call(3).now_or_never().unwrap().is_err());
    assert_eq!(breaker.state(), State::Open);
    assert!(
        second
            .clone()
            .call(2)
            .now_or_never()
            .unwrap()
            .unwrap_err()
            .is_rejection()
    );
}

/// Ready at the second question, and calls only when it was.
#[derive(Clone, Default)]
struct Shy {
    asked: Rc<Cell<u32>>,
    is_ready: bool,
}

impl Service<u32> for Shy {
    type Response = u32;
    type Error = u32;
    type Future = Ready<Result<u32, u32>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), u32>> {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get().is_multiple_of(2) {
            self.is_ready = true;
            return Poll::Ready(Ok(()));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called before it was ready"
        );
        ready(Ok(request))
    }
}

#[tokio::test]
async fn a_service_is_called_only_when_it_is_ready() {
    let shy = Shy::default();
    let mut guarded = GuardLayer::new(Guard::builder().build().unwrap()).layer(shy.clone());
    assert_eq!(guarded.call(7).await, Ok(7));
    let bulkhead = Bulkhead::builder("test", 1).build().unwrap();
    let mut service = BulkheadLayer::new(bulkhead).layer(shy.clone());
    assert_eq!(service.call(8).await, Ok(8));
    assert_eq!(shy.asked.get(), 4);
}

#[test]
fn a_late_request_is_sent_twice_and_allocates_only_to_wait() {
    let clock = ManualClock::new();
    let budget = RetryBudget::with_clock(1.0, &"100/second".parse().unwrap(), clock.clone());
    let hedge = Hedge::builder()
        .clock(clock.clone())
        .budget(Arc::new(budget.unwrap()))
        .delay(MS);
    let hedge = hedge.build().unwrap();
    let even = Even::default();
    let mut service = HedgeLayer::new(hedge.clone()).layer(even.clone());
    let request = || assert_eq!(service.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(count(request), 0);
    let asked = Rc::new(Cell::new(0));
    let silent = Silent(asked.clone());
    let replay = |request: &u32| (*request > 10).then_some(*request);
    let layer = HedgeLayer::with_replay(hedge.clone(), replay);
    for (request, times) in [(3, 1), (13, 2)] {
        asked.set(0);
        let mut call = Box::pin(layer.layer(silent.clone()).call(request));
        let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        clock.advance(MS);
        assert!(poll().is_pending());
        assert_eq!(asked.get(), times, "{request}");
    }
    assert_eq!(hedge.hedged(), 1);
}

/// Counts requests and answers none.
#[derive(Clone)]
struct Silent(Rc<Cell<u32>>);

impl Service<u32> for Silent {
    type Response = u32;
    type Error = u32;
    type Future = Pending<Result<u32, u32>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), u32>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        self.0.set(self.0.get() + 1);
        pending()
    }
}

#[test]
fn services_of_one_throttle_layer_share_its_counts() {
    let throttle = Throttle::builder("test").clock(ManualClock::new());
    let throttle = throttle.build().unwrap();
    let layer = ThrottleLayer::new(throttle.clone());
    let even = Even::default();
    let mut services = [layer.layer(even.clone()), layer.layer(even.clone())];
    let request = || assert_eq!(services[0].call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(count(request), 0);
    for turn in 0..2_000 {
        let reply = services[turn % 2].call(3).now_or_never().unwrap();
        assert!(reply.is_err());
    }
    assert!(throttle.refusal_probability() > 0.99);
    assert!(even.0.get() < 1_000, "refused requests do not arrive");
    let lenient =
        ThrottleLayer::with_classify(throttle.clone(), |_: &Result<u32, u32>| Outcome::Ignore);
    let before = throttle.refusal_probability();
    while lenient.layer(even.clone()).call(3).now_or_never().unwrap() != Err(GuardError::Inner(3)) {
    }
    assert!(
        throttle.refusal_probability() >= before,
        "it was not counted"
    );
}

#[test]
fn services_of_one_adaptive_layer_share_its_limit() {
    let policy = Aimd::between(1, 1).unwrap();
    let limit = AdaptiveLimit::with_clock("test", policy, ManualClock::new());
    let layer = AdaptiveLimitLayer::new(limit.clone());
    let even = Even::default();
    let (mut first, mut second) = (layer.layer(even.clone()), layer.clone().layer(even.clone()));
    let request = || assert_eq!(first.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(count(request), 0);
    // Called and not yet awaited: it is under way.
    let waits = first.call(4);
    let refused = second.call(2).now_or_never().unwrap();
    assert!(matches!(refused, Err(GuardError::Overloaded(_))));
    assert_eq!((even.0.get(), limit.under_way()), (2, 1));
    assert_eq!(waits.now_or_never(), Some(Ok(4)));
    assert_eq!(second.clone().call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(limit.under_way(), 0);
}

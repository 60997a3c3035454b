//! Bulkhead and guard as tower layers.

use crate::layer::Even;
use crate::support::{MS, TickingClock, builder};
use futures_util::FutureExt;
use perf_breaker::{Bulkhead, BulkheadLayer, Guard, GuardError, GuardLayer, Retry, State};
use perf_core::{Backoff, ManualClock};
use perf_testkit::allocations::count;
use std::cell::Cell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};
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

//! The tower layer.

use crate::support::{builder, fail};
use futures_util::FutureExt;
use perf_breaker::{CircuitBreakerLayer, GuardError, State};
use perf_core::ManualClock;
use perf_testkit::allocations::count;
use std::cell::Cell;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Echoes even numbers and fails on odd ones; counts what reaches it.
#[derive(Clone, Default)]
pub(crate) struct Even(pub(crate) Rc<Cell<usize>>);

impl Service<u32> for Even {
    type Response = u32;
    type Error = u32;
    type Future = Ready<Result<u32, u32>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), u32>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        self.0.set(self.0.get() + 1);
        ready(if request.is_multiple_of(2) {
            Ok(request)
        } else {
            Err(request)
        })
    }
}

#[test]
fn services_of_one_layer_share_its_breaker_and_refused_requests_do_not_arrive() {
    let breaker = builder(&ManualClock::new())
        .consecutive_failures(2)
        .build()
        .unwrap();
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let even = Even::default();
    let (mut first, mut second) = (layer.layer(even.clone()), layer.clone().layer(even.clone()));
    assert_eq!(first.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(
        first.call(3).now_or_never(),
        Some(Err(GuardError::Inner(3)))
    );
    assert_eq!(
        second.clone().call(5).now_or_never(),
        Some(Err(GuardError::Inner(5)))
    );
    assert_eq!(breaker.state(), State::Open);
    assert!(
        second
            .call(2)
            .now_or_never()
            .unwrap()
            .unwrap_err()
            .is_rejection()
    );
    assert_eq!(even.0.get(), 3);
}

#[test]
fn a_request_allocates_nothing() {
    let breaker = builder(&ManualClock::new()).build().unwrap();
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(Even::default());
    let request = || assert_eq!(service.call(2).now_or_never(), Some(Ok(2)));
    assert_eq!(count(request), 0);
    (0..5).for_each(|_| fail(&breaker));
    breaker.hold(perf_breaker::Hold::Open);
    assert_eq!(
        count(|| assert!(service.call(2).now_or_never().unwrap().is_err())),
        0
    );
}

//! What a breaker adds to a call.

use criterion::Criterion;
use failsafe::CircuitBreaker as _;
use harness::Comparison;
use perf_breaker::{BreakerBuilder, CircuitBreaker, CircuitBreakerLayer, Hold};
use perf_core::{Clock, SystemClock};
use recloser::Recloser;
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tower_layer::Layer;
use tower_service::Service;

const WINDOW: usize = 100;
const HOUR: Duration = Duration::from_secs(3600);

fn ours() -> BreakerBuilder {
    CircuitBreaker::builder("bench").count_window(WINDOW)
}

fn recloser() -> Recloser {
    Recloser::custom()
        .closed_len(WINDOW)
        .open_wait(HOUR)
        .build()
}

fn works() -> Result<u64, u64> {
    black_box(Ok(7))
}

pub(crate) fn closed_call(criterion: &mut Criterion) {
    let (ours, recloser) = (ours().build().expect("valid"), recloser());
    let backoff = failsafe::backoff::constant(HOUR);
    let policy = failsafe::failure_policy::consecutive_failures(3, backoff);
    let failsafe = failsafe::Config::new().failure_policy(policy).build();
    let mut comparison = Comparison::new("breaker/closed_call/count_window");
    comparison.add("perfkit", || assert_eq!(ours.run(works), Ok(7)));
    comparison.add("recloser", || {
        assert!(matches!(recloser.call(works), Ok(7)))
    });
    comparison.add("failsafe", || {
        assert!(matches!(failsafe.call(works), Ok(7)))
    });
    comparison.run(criterion);
    // None if a filter has let others through alone.
    assert!([0, WINDOW as u64].contains(&ours.snapshot().calls));
}

/// Half of the iterations on each of two threads, from the first's start to the last's end. Each thread
/// takes its own times: a third one may not get a core before the two have ended.
fn on_two_threads(iterations: u64, call: impl Fn() + Sync) -> Duration {
    let ready = Barrier::new(2);
    let spans = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| {
            scope.spawn(|| {
                ready.wait();
                let start = Instant::now();
                (0..iterations.div_ceil(2)).for_each(|_| call());
                (start, Instant::now())
            })
        });
        threads.map(|thread| thread.join().expect("a call panicked"))
    });
    let [(start_a, end_a), (start_b, end_b)] = spans;
    end_a.max(end_b) - start_a.min(start_b)
}

pub(crate) fn closed_call_2_tasks(criterion: &mut Criterion) {
    let (ours, recloser) = (ours().build().expect("valid"), recloser());
    let mut comparison = Comparison::new("breaker/closed_call_2_tasks/count_window");
    comparison.add_timed("perfkit", |iterations| {
        on_two_threads(iterations, || assert_eq!(ours.run(works), Ok(7)))
    });
    comparison.add_timed("recloser", |iterations| {
        on_two_threads(iterations, || {
            assert!(matches!(recloser.call(works), Ok(7)))
        })
    });
    comparison.run(criterion);
}

#[derive(Clone)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

fn respond<S: Service<u64>>(service: &mut S) -> Option<S::Response> {
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(
        service.poll_ready(&mut context),
        Poll::Ready(Ok(()))
    ));
    match pin!(service.call(black_box(7))).poll(&mut context) {
        Poll::Ready(Ok(response)) => Some(response),
        _ => None,
    }
}

pub(crate) fn tower_closed_call(criterion: &mut Criterion) {
    let mut ours = CircuitBreakerLayer::new(ours().build().expect("valid")).layer(Echo);
    let mut peer = tower_resilience_circuitbreaker::CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(WINDOW)
        .build()
        .expect("valid")
        .layer(Echo);
    let mut comparison = Comparison::new("breaker/tower_closed_call/count_window");
    comparison.add("perfkit", || assert_eq!(respond(&mut ours), Some(7)));
    comparison.add("tower_resilience", || {
        assert_eq!(respond(&mut peer), Some(7))
    });
    comparison.run(criterion);
}

/// Beside the peer stands the one clock reading that a rejection needs.
pub(crate) fn rejection(criterion: &mut Criterion) {
    let ours = ours()
        .open_for(HOUR)
        .consecutive_failures(1)
        .build()
        .expect("valid");
    assert_eq!(
        ours.run(|| Err::<u64, u64>(1)).unwrap_err().into_inner(),
        Some(1)
    );
    let recloser = recloser();
    for _ in 0..=WINDOW {
        assert!(recloser.call(|| Err::<u64, u64>(1)).is_err());
    }
    let mut comparison = Comparison::new("breaker/rejection/open");
    comparison.add("perfkit", || {
        assert!(ours.run(works).is_err_and(|error| error.is_rejection()))
    });
    comparison.add("recloser", || {
        assert!(matches!(
            recloser.call(works),
            Err(recloser::Error::Rejected)
        ));
    });
    comparison.add("one_clock_read", || SystemClock.now());
    comparison.run(criterion);
    ours.hold(Hold::Open);
}

pub(crate) fn timed_call(criterion: &mut Criterion) {
    let ours = CircuitBreaker::builder("bench")
        .slow_calls(Duration::from_millis(100), 0.9)
        .build()
        .expect("valid");
    let mut comparison = Comparison::new("breaker/timed_call/time_window_and_slow_calls");
    comparison.add("perfkit", || assert_eq!(ours.run(works), Ok(7)));
    comparison.add("two_clock_reads", || (SystemClock.now(), SystemClock.now()));
    comparison.run(criterion);
}

/// A call must not cost more because the window holds more.
pub(crate) fn window_cost(criterion: &mut Criterion) {
    let [large, small] = [20_000, 1_000].map(|calls| {
        let breaker = CircuitBreaker::builder("bench")
            .count_window(calls)
            .build()
            .expect("valid");
        (0..calls).for_each(|_| assert_eq!(breaker.run(works), Ok(7)));
        breaker
    });
    let mut comparison = Comparison::new("breaker/window_cost/20k_calls");
    comparison.add("perfkit", || assert_eq!(large.run(works), Ok(7)));
    comparison.add("1k_calls", || assert_eq!(small.run(works), Ok(7)));
    comparison.run(criterion);
}

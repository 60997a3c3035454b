//! The breaker and the limiter against their peers.

mod breaker {
    pub(crate) mod calls;
    pub(crate) mod limiter;
}

use criterion::{criterion_group, criterion_main};

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets =
        breaker::limiter::direct,
        breaker::limiter::keyed_10k,
        breaker::limiter::keyed_1m,
        breaker::limiter::memory,
        breaker::calls::closed_call,
        breaker::calls::closed_call_2_tasks,
        breaker::calls::tower_closed_call,
        breaker::calls::rejection,
        breaker::calls::timed_call,
        breaker::calls::window_cost,
);
criterion_main!(benches);

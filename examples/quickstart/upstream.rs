//! An upstream that fails for a while.

use crate::report;
use anyhow::{Result, ensure};
use perfkit::breaker::{CircuitBreaker, State};
use perfkit::core::{ManualClock, Registry};
use std::cell::Cell;
use std::time::Duration;

/// A service that works, breaks down for 1,000 calls and recovers.
struct Upstream {
    down: Cell<bool>,
    reached: Cell<u32>,
}

impl Upstream {
    async fn quote(&self) -> Result<u32, &'static str> {
        self.reached.set(self.reached.get() + 1);
        if self.down.get() {
            Err("the connection timed out")
        } else {
            Ok(42)
        }
    }
}

/// Calls the upstream through its outage, without and with a breaker, on a clock that moves by hand.
pub(crate) async fn show(registry: &Registry) -> Result<CircuitBreaker> {
    report::chapter(
        "An upstream that breaks down for 1,000 calls",
        "perf-breaker",
    );
    let upstream = Upstream {
        down: Cell::new(true),
        reached: Cell::new(0),
    };
    for _ in 0..1_000 {
        ensure!(upstream.quote().await.is_err(), "the upstream is down");
    }
    report::note(format!(
        "without a breaker: {} calls reached it, each to wait in vain",
        upstream.reached.take()
    ));

    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder("quotes")
        .clock(clock.clone())
        .build()?;
    breaker.register(registry);
    upstream.down.set(false);
    for _ in 0..100 {
        ensure!(
            breaker.call(upstream.quote()).await == Ok(42),
            "a healthy call failed"
        );
    }
    upstream.reached.set(0);
    upstream.down.set(true);
    let mut retry_after = Duration::ZERO;
    for _ in 0..1_000 {
        let error = breaker.call(upstream.quote()).await.err();
        retry_after = error
            .and_then(|error| error.retry_after())
            .unwrap_or(retry_after);
    }
    let (reached, rejected) = (upstream.reached.take(), breaker.snapshot().rejected);
    ensure!(
        u64::from(reached) + rejected == 1_000 && breaker.state() == State::Open,
        "calls were lost"
    );
    report::note(format!(
        "with one: {reached} calls reached it, {rejected} were refused at once, asked to wait {retry_after:.1?}"
    ));

    upstream.down.set(false);
    clock.advance(retry_after);
    while breaker.state() != State::Closed {
        ensure!(
            breaker.call(upstream.quote()).await == Ok(42),
            "a probe of the recovered upstream failed"
        );
    }
    report::note(format!(
        "→ closed again after {} successful probes",
        upstream.reached.get()
    ));
    Ok(breaker)
}

//! How does a service live with an upstream that fails now and then, and sometimes for good?
//!
//! ```sh
//! cargo run -p perfkit-examples --example breaker_flaky_upstream
//! ```
//!
//! The upstream is simulated and time is moved by hand. Nothing has to be set up.

use anyhow::{Result, ensure};
use perfkit::breaker::{CircuitBreaker, Guard, GuardError, Retry, State};
use perfkit::core::{Backoff, ManualClock};
use std::cell::Cell;
use std::time::Duration;

/// Fails every fourth call, and all of them while it is down.
#[derive(Default)]
struct Upstream {
    down: Cell<bool>,
    calls: Cell<u32>,
}

impl Upstream {
    async fn quote(&self) -> Result<u32, &'static str> {
        self.calls.set(self.calls.get() + 1);
        if self.down.get() || self.calls.get().is_multiple_of(4) {
            Err("connection reset")
        } else {
            Ok(42)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (clock, upstream) = (ManualClock::new(), Upstream::default());
    let breaker = CircuitBreaker::builder("quotes")
        .clock(clock.clone())
        .build()?;
    let retry = Retry::builder()
        .backoff(Backoff::constant(Duration::ZERO))
        .clock(clock.clone())
        .build()?;
    let guard = Guard::builder()
        .clock(clock.clone())
        .retry(retry.clone())
        .breaker(breaker.clone())
        .build()?;

    // A call in four fails: the retry hides it.
    for _ in 0..12 {
        ensure!(guard.call(|| upstream.quote()).await == Ok(42));
    }
    println!(
        "flaky: 12 quotes from {} calls, {} of them retries",
        upstream.calls.get(),
        retry.retries()
    );

    // All fail: the breaker opens, and the rest get yesterday's quote at once.
    upstream.down.set(true);
    upstream.calls.set(0);
    let yesterday = guard.with_fallback(|error: GuardError<&'static str>| async move {
        if error.is_rejection() {
            Ok(41)
        } else {
            Err(error)
        }
    });
    let mut quotes = 0;
    for _ in 0..1_000 {
        quotes += u32::from(yesterday.call(|| upstream.quote()).await.is_ok());
    }
    ensure!(breaker.state() == State::Open && upstream.calls.get() < 30);
    println!(
        "down: {quotes} of 1000 answered with yesterday's quote, {} calls reached the upstream",
        upstream.calls.get()
    );

    // It is back: after the open time, a few probes close the breaker.
    upstream.down.set(false);
    let error = guard.call(|| upstream.quote()).await.err();
    clock.advance(
        error
            .and_then(|error| error.retry_after())
            .unwrap_or_default(),
    );
    while breaker.state() != State::Closed {
        ensure!(guard.call(|| upstream.quote()).await == Ok(42));
    }
    println!("back: closed again");
    Ok(())
}

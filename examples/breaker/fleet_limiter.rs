//! How do several processes share one limit, and what happens when Redis is gone?
//!
//! It needs a Redis server:
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379/ cargo run -p perfkit-examples --example fleet_limiter
//! ```
//!
//! Two limiters stand for two processes. Each leases ten calls at a time, so most decisions ask nobody.

use anyhow::{Context, Result, ensure};
use perf_breaker::{RedisStore, SharedLimiter, StorePolicy};
use perf_core::{Inspect, Value};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("REDIS_URL")
        .context("set REDIS_URL to a Redis server, such as redis://127.0.0.1:6379/")?;
    let customer = format!("customer-{}", std::process::id());
    let member = |store: RedisStore| {
        SharedLimiter::builder("example", &"100/hour".parse()?, store)
            .instances(2)
            .leases(10)
            .policy(StorePolicy::Local)
            .build()
    };
    let fleet = [
        member(RedisStore::new(&url, "limits:")?)?,
        member(RedisStore::new(&url, "limits:")?)?,
    ];

    let mut admitted = 0;
    for call in 0..1_000 {
        let decision = fleet[call % 2].check(&customer).await;
        admitted += usize::from(decision.is_allowed());
    }
    let asked = questions(&fleet[0]) + questions(&fleet[1]);
    println!("together they admitted {admitted} of 1,000 calls and asked Redis {asked} times");
    // A hundred an hour; what the two may hold in leases is set aside.
    ensure!(admitted == 80 && asked < 15);

    // The same limiter where nobody answers: its own half of the quota, without an error and, after the
    // first few calls, without a wait.
    let alone = member(RedisStore::new("redis://127.0.0.1:1/", "limits:")?)?;
    let mut admitted = 0;
    for _ in 0..1_000 {
        admitted += usize::from(alone.check(&customer).await.is_allowed());
    }
    println!(
        "without Redis one of them admitted {admitted}: {:?}",
        alone.health()
    );
    ensure!(admitted == 50);
    Ok(())
}

/// How often a limiter has asked its store.
fn questions(limiter: &SharedLimiter) -> u64 {
    let mut samples = Vec::new();
    limiter.samples(&mut samples);
    let asked = samples
        .iter()
        .find(|sample| sample.name == "store_questions");
    match asked.map(|sample| &sample.value) {
        Some(Value::Counter(count)) => *count,
        _ => 0,
    }
}

//! A store that fails, hangs, comes back, or whose clock jumps.

use super::{Mood, Watched, admitted, builder, quota};
use crate::support::{MS, SECOND, figures};
use futures_util::future::join_all;
use perf_breaker::{RedisStore, SharedLimiter, StorePolicy};
use perf_core::{Clock, Histogram, Inspect, ManualClock, SystemClock};
use perf_testkit::{FaultProxy, Faults, RedisServer, proxy::Silence};
use std::time::Duration;

#[tokio::test]
async fn a_local_limiter_begins_warm_with_its_share() {
    let clock = ManualClock::new();
    let (builder, store) = builder("100/hour", &clock);
    let limiter = builder.instances(4).build().unwrap();
    assert_eq!(admitted(&limiter, "key", 15).await, 15);
    store.set(Mood::Failing);
    // A quarter of the quota, of which 15 were taken while the store answered.
    assert_eq!(admitted(&limiter, "key", 100).await, 10);
    assert_eq!(admitted(&limiter, "new", 100).await, 25);
    assert!(limiter.check_cost("big", 80).await.unwrap().is_allowed());
    assert!(!limiter.check_cost("big", 1).await.unwrap().is_allowed());
}

#[tokio::test]
async fn the_other_policies_admit_all_and_none() {
    for (policy, expected) in [(StorePolicy::Open, 50), (StorePolicy::Closed, 0)] {
        let (builder, store) = builder("5/hour", &ManualClock::new());
        let limiter = builder.policy(policy).build().unwrap();
        store.set(Mood::Failing);
        assert_eq!(admitted(&limiter, "key", 50).await, expected);
        let decision = limiter.check("key").await;
        assert_eq!(decision.is_allowed(), decision.retry_after().is_zero());
    }
}

/// After a few failures nothing is asked any more, but for the probes after each pause.
#[tokio::test]
async fn a_store_that_fails_is_left_alone_and_found_again() {
    let clock = ManualClock::new();
    let (builder, store) = builder("1000000/hour", &clock);
    let limiter = builder.build().unwrap();
    store.set(Mood::Failing);
    assert_eq!(admitted(&limiter, "key", 10_000).await, 10_000);
    assert_eq!(store.questions(), 8);
    for pause in 1..=4 {
        clock.advance(400 * MS);
        assert_eq!(admitted(&limiter, "key", 10_000).await, 10_000);
        assert_eq!(store.questions(), 8 + pause * 2);
    }
    store.set(Mood::Working);
    clock.advance(400 * MS);
    let before = store.questions();
    assert_eq!(admitted(&limiter, "key", 1_000).await, 1_000);
    assert_eq!(store.questions() - before, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_a_call_its_time_out_and_then_nothing() {
    let store = Watched::new(perf_breaker::MemoryStore::new());
    let limiter = SharedLimiter::builder("test", &quota("100000/hour"), store.clone());
    let limiter = limiter.timeout(50 * MS).build().unwrap();
    store.set(Mood::Hanging);
    let start = SystemClock.now();
    assert_eq!(admitted(&limiter, "key", 10_000).await, 10_000);
    // Paused time moves with the time-outs of the calls that were let through, and with nothing else.
    assert_eq!(SystemClock.now().since(start), 8 * 50 * MS);
}

/// Whoever waits for a lease waits for those before it, and for a store that hangs no longer than they.
#[tokio::test(start_paused = true)]
async fn a_line_for_a_lease_is_no_failure_of_the_store() {
    let store = Watched::new(perf_breaker::MemoryStore::new());
    let limiter = SharedLimiter::builder("test", &quota("100000/hour"), store.clone());
    let limiter = limiter.timeout(50 * MS).leases(2).build().unwrap();
    let burst = async || {
        let calls = join_all((0..100).map(|_| limiter.check("key"))).await;
        calls.iter().filter(|call| call.is_allowed()).count()
    };
    let without_store = || figures_of(&limiter).remove(2);
    store.set(Mood::Distant);
    assert_eq!(burst().await, 100);
    assert_eq!(store.questions(), 50);
    assert_eq!(without_store(), "decided_without_store 0");

    store.set(Mood::Hanging);
    let start = SystemClock.now();
    assert_eq!(burst().await, 100);
    assert_eq!(SystemClock.now().since(start), 50 * MS);
    assert_eq!(store.questions(), 51);
    assert_eq!(without_store(), "decided_without_store 100");
}

fn figures_of(limiter: &SharedLimiter) -> Vec<String> {
    let mut samples = Vec::new();
    limiter.samples(&mut samples);
    figures(&samples)
}

fn through(proxy: &FaultProxy, server: &RedisServer) -> RedisStore {
    let url = server.url_through(proxy.address());
    RedisStore::new(&url, &server.key_prefix()).unwrap()
}

#[tokio::test]
async fn a_decision_is_one_round_trip_and_a_known_denial_none() {
    let server = RedisServer::shared().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let store = through(&proxy, server);
    let limiter = SharedLimiter::builder("trips", &quota("100/hour; 1000/day"), store);
    let limiter = limiter.timeout(10 * SECOND).build().unwrap();
    assert!(limiter.check("key").await.is_allowed());
    let before = proxy.traffic().round_trips;
    assert_eq!(admitted(&limiter, "key", 99).await, 99);
    assert_eq!(proxy.traffic().round_trips - before, 99);
    assert_eq!(admitted(&limiter, "key", 10_000).await, 0);
    assert_eq!(proxy.traffic().round_trips - before, 100);
}

/// Calls until Redis has answered again, and returns how long that took.
async fn back_in_step(limiter: &SharedLimiter, server: &RedisServer) -> Duration {
    let start = SystemClock.now();
    let limit = start.saturating_add(30 * SECOND);
    let known = |key: &str| format!("{key}{}", fastrand::u64(..));
    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    loop {
        let key = known("back");
        assert!(limiter.check(&key).await.is_allowed());
        let mut keys = redis::cmd("KEYS");
        keys.arg(format!("*:{key}"));
        let found: Vec<String> = keys.query_async(&mut connection).await.unwrap();
        if !found.is_empty() {
            return SystemClock.now().since(start);
        }
        assert!(SystemClock.now() < limit, "the store was not found again");
        SystemClock.sleep(MS).await;
    }
}

/// Killed, paused, cut off and slowed in turn, at thousands of decisions: nothing but decisions comes
/// out, few are asked of the store, and it is found again.
#[tokio::test]
async fn redis_killed_paused_cut_off_and_slowed() {
    let server = RedisServer::start().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let limiter =
        SharedLimiter::builder("outage", &quota("1000000000/day"), through(&proxy, &server));
    let limiter = limiter.build().unwrap();
    assert_eq!(admitted(&limiter, "key", 100).await, 100);
    type Step<'s> = &'s dyn Fn();
    let silence = Faults::none().with_silence(Silence::Both);
    let slow = Faults::none().with_delay(2 * SECOND);
    let none = || proxy.set(Faults::none());
    let faults: [(&str, Step<'_>, Step<'_>); 4] = [
        ("killed", &|| server.kill(), &|| server.restart().unwrap()),
        ("paused", &|| server.pause(), &|| server.resume()),
        ("cut off", &|| proxy.set(silence), &none),
        ("slowed", &|| proxy.set(slow), &none),
    ];
    for (name, break_it, mend_it) in faults {
        break_it();
        // Until the breaker has opened, calls wait for their time-outs.
        assert_eq!(admitted(&limiter, "key", 20).await, 20, "{name}");
        let asked = questions(&limiter);
        let (start, times) = (SystemClock.now(), Histogram::new());
        for _ in 0..10_000 {
            let before = SystemClock.now();
            assert!(limiter.check("key").await.is_allowed(), "{name}");
            times.record_between(before, SystemClock.now());
        }
        let p99 = times.snapshot().quantile(0.99);
        let pauses = SystemClock.now().since(start).as_millis() / 180 + 1;
        let asked = u128::from(questions(&limiter) - asked);
        assert!(
            asked <= 3 * pauses,
            "{name}: {asked} questions in {pauses} pauses"
        );
        mend_it();
        let took = back_in_step(&limiter, &server).await;
        println!("{name}: p99 {p99:?}, {asked} questions, back in step after {took:?}");
    }
}

fn questions(limiter: &SharedLimiter) -> u64 {
    let mut samples = Vec::new();
    limiter.samples(&mut samples);
    match samples[1].value {
        perf_core::Value::Counter(questions) => questions,
        _ => unreachable!("questions are counted"),
    }
}

/// The script knows arrivals only as distances from the server's clock: to move what it has kept by an
/// hour is to move the clock by an hour.
#[tokio::test]
async fn a_server_clock_that_jumps_gives_away_a_burst_at_most_and_shuts_nobody_out() {
    const HOUR: i64 = 3_600 * 7_812_500;
    let server = RedisServer::start().unwrap();
    let store = RedisStore::new(&server.url(), "").unwrap();
    let limiter = SharedLimiter::builder("clock", &quota("10/minute"), store);
    let limiter = limiter.timeout(10 * SECOND).capacity(1).build().unwrap();
    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let mut step_back = async |ticks: i64| {
        let arrival: i64 = redis::cmd("GET")
            .arg("clock:key")
            .query_async(&mut connection)
            .await
            .unwrap();
        let mut set = redis::cmd("SET");
        set.arg("clock:key").arg(arrival + ticks);
        set.query_async::<()>(&mut connection).await.unwrap();
    };
    assert_eq!(admitted(&limiter, "key", 5).await, 5);
    step_back(HOUR).await;
    let denied = limiter.check("key").await;
    assert!(!denied.is_allowed(), "a step back gives nothing away");
    assert!(
        denied.retry_after() <= 6 * SECOND,
        "and lets nobody wait for an hour"
    );
    step_back(-2 * HOUR).await;
    limiter.refund("key", 0).await; // forgets the denial here
    assert_eq!(
        admitted(&limiter, "key", 50).await,
        10,
        "a step forward gives one burst"
    );
}

//! Limits that processes share: what is asked of the store, and what is decided without it.

mod fleet;
mod outage;
mod watched;

use crate::support::{MS, SECOND, figures};
use futures_util::future::join_all;
use perf_breaker::{
    ConfigError, MemoryStore, Quota, SharedLimiter, SharedLimiterBuilder, StorePolicy,
};
use perf_core::{Health, Inspect, ManualClock, Registry};
use std::sync::Arc;
use watched::{Mood, Watched};

fn quota(text: &str) -> Quota {
    text.parse().unwrap()
}

/// A limiter and its store, on a clock that stands still.
fn builder(text: &str, clock: &ManualClock) -> (SharedLimiterBuilder, Watched) {
    let store = Watched::new(MemoryStore::with_clock(clock.clone()));
    let builder = SharedLimiter::builder("test", &quota(text), store.clone());
    (builder.clock(clock.clone()), store)
}

async fn admitted(limiter: &SharedLimiter, key: &str, calls: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..calls {
        admitted += usize::from(limiter.check(key).await.is_allowed());
    }
    admitted
}

#[tokio::test]
async fn a_denial_is_not_asked_for_twice() {
    let clock = ManualClock::new();
    let (builder, store) = builder("5/second; 20/minute", &clock);
    let limiter = builder.build().unwrap();
    assert_eq!(admitted(&limiter, "key", 1_000).await, 5);
    assert_eq!(store.questions(), 6);
    let denied = limiter.check("key").await;
    assert_eq!((denied.remaining(), denied.limit().count()), (0, 5));
    assert!(denied.retry_after() >= 200 * MS && denied.retry_after() < 201 * MS);
    clock.advance(denied.retry_after());
    assert!(limiter.check("key").await.is_allowed());
    assert_eq!(store.questions(), 7);
    assert_eq!(admitted(&limiter, "another", 1).await, 1);
    // A denied cost says nothing of a lesser one.
    clock.advance(2 * SECOND);
    assert!(limiter.check_cost("key", 3).await.unwrap().is_allowed());
    assert!(!limiter.check_cost("key", 3).await.unwrap().is_allowed());
    assert!(limiter.check_cost("key", 2).await.unwrap().is_allowed());
}

#[tokio::test]
async fn cost_peek_refund_and_reset_reach_the_store() {
    let clock = ManualClock::new();
    let (builder, store) = builder("10/hour", &clock);
    let limiter = builder.build().unwrap();
    assert_eq!(limiter.peek("key").await.remaining(), 10);
    assert_eq!(limiter.check_cost("key", 7).await.unwrap().remaining(), 3);
    assert_eq!(limiter.peek("key").await.remaining(), 3);
    assert!(!limiter.check_cost("key", 4).await.unwrap().is_allowed());
    limiter.refund("key", 1).await;
    assert!(limiter.check_cost("key", 4).await.unwrap().is_allowed());
    assert!(!limiter.check("key").await.is_allowed());
    limiter.reset("key").await.unwrap();
    assert_eq!(admitted(&limiter, "key", 20).await, 10);
    let error = limiter.check_cost("key", 11).await;
    let burst = 10;
    assert_eq!(
        error,
        Err(ConfigError::CostExceedsBurst { cost: 11, burst })
    );
    store.set(Mood::Failing);
    assert!(limiter.reset("key").await.is_err());
}

#[tokio::test]
async fn a_key_of_a_mebibyte_is_a_key_of_its_own() {
    let clock = ManualClock::new();
    let (builder, store) = builder("1/hour", &clock);
    let limiter = builder.build().unwrap();
    let long = "x".repeat(1 << 20);
    assert_eq!(admitted(&limiter, &long, 3).await, 1);
    assert_eq!(admitted(&limiter, &long[1..], 3).await, 1);
    assert!(store.longest_key() <= perf_breaker::LONGEST_KEY);
}

#[tokio::test]
async fn limiters_of_one_name_share_and_of_two_names_do_not() {
    let store = Watched::new(MemoryStore::new());
    let build = |name: &'static str| {
        let builder = SharedLimiter::builder(name, &quota("3/hour"), store.clone());
        builder.build().unwrap()
    };
    assert_eq!(admitted(&build("a"), "key", 5).await, 3);
    assert_eq!(admitted(&build("a"), "key", 5).await, 0);
    assert_eq!(admitted(&build("b"), "key", 5).await, 3);
}

#[test]
fn settings_that_cannot_work_are_errors() {
    let build = |change: fn(SharedLimiterBuilder) -> SharedLimiterBuilder| {
        let (builder, _) = builder("100/second", &ManualClock::new());
        change(builder).build().unwrap_err().to_string()
    };
    assert_eq!(
        build(|b| b.instances(0)),
        "instances is 0, must be 1 to 1000"
    );
    assert_eq!(build(|b| b.leases(0)), "leased calls is 0, must be 1 to 50");
    assert_eq!(
        build(|b| b.leases(51)),
        "leased calls is 51, must be 1 to 50"
    );
    assert!(build(|b| b.capacity(0)).starts_with("capacity for keys is 0"));
    assert!(build(|b| b.timeout(std::time::Duration::ZERO)).contains("is 0ns"));
    for name in ["", "a:b", "a#b", &"x".repeat(101)] {
        let builder = SharedLimiter::builder(name.to_owned(), &quota("1/hour"), MemoryStore::new());
        assert!(
            matches!(builder.build(), Err(ConfigError::Name { .. })),
            "{name}"
        );
    }
}

#[tokio::test]
async fn leases_ask_once_a_batch_and_never_admit_more() {
    let clock = ManualClock::new();
    let (builder, store) = builder("1000/hour", &clock);
    let limiter = builder.instances(4).leases(100).build().unwrap();
    // Four hundred are set aside: they may lie in other processes.
    assert_eq!(admitted(&limiter, "key", 2_000).await, 600);
    assert_eq!(store.questions(), 7);
    let error = limiter.check_cost("key", 601).await;
    let burst = 600;
    assert_eq!(
        error,
        Err(ConfigError::CostExceedsBurst { cost: 601, burst })
    );
    // More than a batch is asked for itself.
    assert!(limiter.check_cost("big", 500).await.unwrap().is_allowed());
    assert!(limiter.check_cost("big", 50).await.unwrap().is_allowed());
    assert!(limiter.check_cost("big", 50).await.unwrap().is_allowed());
    assert!(!limiter.check("big").await.is_allowed());
}

#[tokio::test]
async fn callers_of_one_key_lease_together() {
    let clock = ManualClock::new();
    let (builder, store) = builder("10000/hour", &clock);
    let limiter = builder.leases(1_000).build().unwrap();
    store.set(Mood::Slow);
    let calls = (0..1_500).map(|_| limiter.check("key"));
    let decisions = join_all(calls).await;
    assert!(decisions.iter().all(perf_breaker::Decision::is_allowed));
    assert_eq!(store.questions(), 2);
}

/// What is leased and lost when a caller gives up is lost and never handed out twice.
#[tokio::test]
async fn a_lease_dropped_at_any_poll_admits_nobody_twice() {
    let clock = ManualClock::new();
    let (builder, store) = builder("1000/hour", &clock);
    let limiter = builder.leases(10).build().unwrap();
    store.set(Mood::Slow);
    let mut random = fastrand::Rng::with_seed(4);
    let mut total = 0;
    for _ in 0..3_000 {
        let mut call = Box::pin(limiter.check("key"));
        for _ in 0..random.usize(..5) {
            if let std::task::Poll::Ready(decision) = futures_util::poll!(call.as_mut()) {
                total += usize::from(decision.is_allowed());
                break;
            }
        }
    }
    store.set(Mood::Working);
    total += admitted(&limiter, "key", 2_000).await;
    assert!(total <= 1_000, "{total}");
    assert!(total >= 500, "{total}");
}

#[tokio::test]
async fn an_inspection_shows_questions_and_whether_the_store_answers() {
    let clock = ManualClock::new();
    let (builder, store) = builder("2/hour", &clock);
    let limiter = Arc::new(builder.policy(StorePolicy::Closed).build().unwrap());
    let registry = Registry::new();
    limiter.register(&registry);
    assert_eq!(admitted(&limiter, "key", 5).await, 2);
    store.set(Mood::Failing);
    assert_eq!(admitted(&limiter, "another", 20).await, 0);
    assert_ne!(limiter.health(), Health::Healthy);
    let parts = registry.inspect();
    assert_eq!(parts.len(), 2);
    assert_eq!((parts[1].kind, &*parts[1].name), ("shared_limiter", "test"));
    assert_eq!(
        figures(&parts[1].samples),
        [
            "denied 23",
            "store_questions 11",
            "decided_without_store 20"
        ]
    );
}

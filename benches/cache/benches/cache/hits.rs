//! What a hit costs.

use crate::workload;
use cached::macros::concurrent_cached;
use criterion::{Criterion, criterion_group};
use harness::Comparison;
use hitbox::policy::PolicyConfig;
use hitbox_fn::Cache as Hitbox;
use hitbox_fn::prelude::cached as hitbox_value;
use hitbox_moka::MokaBackend;
use perf_cache::store::{LocalStore, MokaStore};
use perf_cache::{Cache, EntryPolicy};
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const REQUESTS: usize = 1 << 16;
const ROOM: u64 = 400_000;

/// The value of a key, so that every answer can be checked.
const fn value_of(key: u64) -> u64 {
    key ^ 0xABCD
}

fn runtime() -> Runtime {
    let builder = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    builder.expect("a runtime")
}

/// Times `hit` over the keys, from the start again when they end.
fn time(keys: &[u64], iterations: u64, mut hit: impl FnMut(u64) -> u64) -> Duration {
    let mut keys = keys.iter().cycle();
    let start = Instant::now();
    for _ in 0..iterations {
        let key = black_box(*keys.next().expect("a cycle has no end"));
        assert_eq!(black_box(hit(key)), value_of(key));
    }
    start.elapsed()
}

/// Polls futures, as a task does: its context is made once, not for each of them.
struct Task(Context<'static>);

impl Task {
    const fn new() -> Self {
        Self(Context::from_waker(Waker::noop()))
    }

    /// What a future is at its first poll: a hit never waits.
    #[inline(always)]
    fn ready<T>(&mut self, future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut self.0) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a hit that waits"),
        }
    }
}

fn filled<S: LocalStore<u64, u64>>(
    runtime: &Runtime,
    keys: u64,
    policy: &EntryPolicy,
) -> Cache<u64, u64, S> {
    let builder = Cache::<u64, u64>::builder("bench").max_entries(ROOM);
    let cache = builder.build_in::<S>().expect("valid settings");
    runtime.block_on(async {
        for key in 0..keys {
            let inserted = cache.insert_with(key, value_of(key), policy.clone()).await;
            inserted.expect("open");
        }
    });
    cache
}

fn quick(keys: u64) -> quick_cache::sync::Cache<u64, u64> {
    let cache = quick_cache::sync::Cache::new(usize::try_from(ROOM).expect("fits"));
    (0..keys).for_each(|key| cache.insert(key, value_of(key)));
    cache
}

fn near_hit(criterion: &mut Criterion) {
    let runtime = &runtime();
    let workloads = [
        (
            "cache/near_hit/zipf10k",
            10_000,
            workload::zipf(10_000, 1.0, REQUESTS),
        ),
        (
            "cache/near_hit/uniform100k",
            100_000,
            workload::uniform(100_000, REQUESTS),
        ),
    ];
    for (id, count, keys) in &workloads {
        let ours: Cache<u64, u64> = filled(runtime, *count, &EntryPolicy::new());
        let peer = quick(*count);
        let mut comparison = Comparison::new(id);
        comparison.add_timed("perfkit", |iterations| {
            let mut task = Task::new();
            time(keys, iterations, |key| {
                task.ready(ours.get(&key)).expect("a hit")
            })
        });
        comparison.add_timed("quick_cache", |iterations| {
            time(keys, iterations, |key| peer.get(&key).expect("a hit"))
        });
        comparison.run(criterion);
    }
}

/// Entries of three tags, after other tags were invalidated: no entry's stamp is the current one.
fn near_hit_tagged(criterion: &mut Criterion) {
    let runtime = &runtime();
    let keys = &workload::zipf(10_000, 1.0, REQUESTS);
    let policy = EntryPolicy::new().tag("a").tag("b").tag("c");
    let ours: Cache<u64, u64> = filled(runtime, 10_000, &policy);
    runtime
        .block_on(ours.invalidate_tag("elsewhere"))
        .expect("open");
    let peer = quick(10_000);
    let mut comparison = Comparison::new("cache/near_hit_tagged/zipf10k");
    comparison.add_timed("perfkit", |iterations| {
        let mut task = Task::new();
        time(keys, iterations, |key| {
            task.ready(ours.get(&key)).expect("a hit")
        })
    });
    comparison.add_timed("quick_cache", |iterations| {
        time(keys, iterations, |key| peer.get(&key).expect("a hit"))
    });
    comparison.run(criterion);
}

fn near_hit_moka(criterion: &mut Criterion) {
    let runtime = &runtime();
    let keys = &workload::zipf(10_000, 1.0, REQUESTS);
    let ours: Cache<u64, u64, MokaStore<u64, u64>> = filled(runtime, 10_000, &EntryPolicy::new());
    let peer = moka::sync::Cache::new(ROOM);
    (0..10_000).for_each(|key| peer.insert(key, value_of(key)));
    let mut comparison = Comparison::new("cache/near_hit_moka/zipf10k");
    comparison.add_timed("perfkit", |iterations| {
        let mut task = Task::new();
        time(keys, iterations, |key| {
            task.ready(ours.get(&key)).expect("a hit")
        })
    });
    comparison.add_timed("moka", |iterations| {
        time(keys, iterations, |key| peer.get(&key).expect("a hit"))
    });
    comparison.run(criterion);
}

#[concurrent_cached(max_size = 400_000)]
fn cached_value(key: u64) -> u64 {
    value_of(key)
}

#[hitbox_value(prefix = "value")]
async fn hitbox_value_of(key: u64) -> u64 {
    value_of(key)
}

fn get_or_load_hit(criterion: &mut Criterion) {
    let runtime = &runtime();
    let keys = &workload::zipf(10_000, 1.0, REQUESTS);
    let ours: Cache<u64, u64> = filled(runtime, 10_000, &EntryPolicy::new());
    let moka = moka::future::Cache::new(ROOM);
    let hitbox = Hitbox::builder()
        .backend(MokaBackend::builder().max_entries(ROOM).build())
        .policy(
            PolicyConfig::builder()
                .ttl(Duration::from_secs(3_600))
                .build(),
        )
        .build();
    runtime.block_on(async {
        for key in 0..10_000 {
            moka.insert(key, value_of(key)).await;
            cached_value(key);
            hitbox_value_of(key).cache(&hitbox).await;
        }
    });
    let mut comparison = Comparison::new("cache/get_or_load_hit/zipf10k");
    comparison.add_timed("perfkit", |iterations| {
        let mut task = Task::new();
        time(keys, iterations, |key| {
            let load = async move || Ok::<_, Infallible>(value_of(key));
            task.ready(ours.get_or_load(key, load)).expect("a hit")
        })
    });
    comparison.add_timed("moka_get_with", |iterations| {
        let mut task = Task::new();
        time(keys, iterations, |key| {
            task.ready(moka.get_with(key, async move { value_of(key) }))
        })
    });
    comparison.add_timed("cached", |iterations| time(keys, iterations, cached_value));
    comparison.add_timed("hitbox", |iterations| {
        let mut task = Task::new();
        time(keys, iterations, |key| {
            task.ready(hitbox_value_of(key).cache(&hitbox).into_future())
        })
    });
    let _entered = runtime.enter();
    comparison.run(criterion);
    assert_eq!(ours.stats().loads, 0, "every call was a hit");
}

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = near_hit, near_hit_tagged, near_hit_moka, get_or_load_hit
);

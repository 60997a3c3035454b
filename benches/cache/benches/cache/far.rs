//! What the far tier costs beside the bare driver, on a Redis server over loopback.

use criterion::{Criterion, criterion_group};
use harness::Comparison;
use perf_cache::store::RedisStore;
use perf_cache::{Cache, EntryPolicy, FarTier};
use perf_core::{Codec, Compressed, MessagePack};
use perf_testkit::RedisServer;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{AsyncCommands, IntoConnectionInfo};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const KEYS: u64 = 1_000;
const MILLION: u64 = 1_000_000;

type Texts = Cache<u64, String>;

fn runtime() -> Runtime {
    let builder = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    builder.expect("a runtime")
}

/// A text of that size that gzip cannot shrink.
fn text(key: u64, bytes: usize) -> String {
    let mut random = fastrand::Rng::with_seed(key);
    std::iter::repeat_with(|| random.alphanumeric())
        .take(bytes)
        .collect()
}

/// A node whose near tier holds next to nothing.
fn node(server: &RedisServer, name: &str) -> Texts {
    let store = RedisStore::new(&server.url()).expect("a valid address");
    let builder = Texts::builder(name.to_owned()).max_entries(1);
    let tier = FarTier::new(store).near_ttl(Duration::from_nanos(1));
    builder.far(tier).build().expect("valid settings")
}

fn policy() -> EntryPolicy {
    EntryPolicy::new().tag("a").tag("b").tag("c")
}

/// A connection set up as the cache sets up its own.
async fn raw(server: &RedisServer) -> ConnectionManager {
    let info = server.url().into_connection_info().expect("valid");
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let client = redis::Client::open(info).expect("valid");
    let config = ConnectionManagerConfig::new();
    let manager = ConnectionManager::new_with_config(client, config).await;
    manager.expect("the server listens")
}

async fn raw_get(connection: &mut ConnectionManager, key: u64) -> String {
    let bytes: Vec<u8> = connection.get(format!("raw:{key}")).await.expect("there");
    Compressed::new(MessagePack).decode(&bytes).expect("ours")
}

/// Puts `KEYS` texts where the cache and the bare driver find them.
async fn fill(cache: &Texts, connection: &mut ConnectionManager, bytes: usize) {
    for key in 0..KEYS {
        let value = text(key, bytes);
        let encoded = Compressed::new(MessagePack).encode(&value);
        let encoded = encoded.expect("a text");
        let _: () = connection
            .set(format!("raw:{key}"), encoded)
            .await
            .expect("there is room");
        let inserted = cache.insert_with(key, value, policy()).await;
        inserted.expect("Redis is up");
    }
}

fn far_hit_3_tags(criterion: &mut Criterion) {
    let (runtime, server) = (runtime(), RedisServer::shared().expect("redis-server"));
    let _entered = runtime.enter();
    let cache = node(&server, "far_hit");
    let mut connection = runtime.block_on(raw(&server));
    runtime.block_on(fill(&cache, &mut connection, 1_024));
    let expected: Vec<String> = (0..KEYS).map(|key| text(key, 1_024)).collect();
    let mut comparison = Comparison::new("cache/far_hit_3_tags/loopback");
    comparison.add_timed("perfkit", |iterations| {
        runtime.block_on(async {
            let start = Instant::now();
            for key in (0..iterations).map(|number| number % KEYS) {
                let load = async || Err::<String, _>("nothing is to be loaded");
                let value = cache.get_or_load_with(key, policy(), load).await;
                assert_eq!(value.expect("there"), expected[index(key)]);
            }
            start.elapsed()
        })
    });
    comparison.add_timed("raw_get", |iterations| {
        runtime.block_on(async {
            let mut connection = connection.clone();
            let start = Instant::now();
            for key in (0..iterations).map(|number| number % KEYS) {
                assert_eq!(raw_get(&mut connection, key).await, expected[index(key)]);
            }
            start.elapsed()
        })
    });
    comparison.run(criterion);
}

fn get_many(criterion: &mut Criterion) {
    let workloads = [
        ("cache/get_many_1000/loopback", 100),
        ("cache/get_many_1000/loopback_1kib", 1_024),
    ];
    let (runtime, server) = (runtime(), RedisServer::shared().expect("redis-server"));
    let _entered = runtime.enter();
    for (id, bytes) in workloads {
        let cache = node(&server, id);
        let mut connection = runtime.block_on(raw(&server));
        runtime.block_on(fill(&cache, &mut connection, bytes));
        let expected: Vec<String> = (0..KEYS).map(|key| text(key, bytes)).collect();
        let mut comparison = Comparison::new(id);
        comparison.add_timed("perfkit", |iterations| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..iterations {
                    let found = cache.get_many(0..KEYS).await;
                    assert_eq!(found.len(), expected.len());
                    assert!((0..KEYS).all(|key| found[&key] == expected[index(key)]));
                }
                start.elapsed()
            })
        });
        comparison.add_timed("sequential", |iterations| {
            runtime.block_on(async {
                let mut connection = connection.clone();
                let start = Instant::now();
                for _ in 0..iterations {
                    for key in 0..KEYS {
                        assert_eq!(raw_get(&mut connection, key).await, expected[index(key)]);
                    }
                }
                start.elapsed()
            })
        });
        comparison.run(criterion);
    }
}

/// Invalidates a tag of a million entries in both tiers, and a tag of one.
fn invalidate_tag(criterion: &mut Criterion) {
    let (runtime, server) = (runtime(), RedisServer::shared().expect("redis-server"));
    let _entered = runtime.enter();
    let store = RedisStore::new(&server.url()).expect("a valid address");
    let builder = Cache::<u64, u64>::builder("invalidate").max_entries(2 * MILLION);
    let cache = builder.far(FarTier::new(store)).build();
    let cache = cache.expect("valid settings");
    let load = |keys: Vec<u64>| async {
        Ok::<_, Infallible>(keys.into_iter().map(|key| (key, key)).collect())
    };
    let many = EntryPolicy::new().tag("many");
    let entries = if harness::is_quick() {
        MILLION / 10
    } else {
        MILLION
    };
    runtime.block_on(async {
        for start in (0..entries).step_by(10_000) {
            let keys = start..start + 10_000;
            let loaded = cache
                .get_or_load_many_with(keys, |_| many.clone(), load)
                .await;
            assert_eq!(loaded.values.len(), 10_000);
        }
        let one = EntryPolicy::new().tag("one");
        cache.insert_with(entries, 0, one).await.expect("room");
    });
    let timed = |tag: &'static str| {
        let (runtime, cache) = (&runtime, &cache);
        move |iterations| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..iterations {
                    cache.invalidate_tag(tag).await.expect("Redis is up");
                }
                start.elapsed()
            })
        }
    };
    assert_eq!(cache.near(&0), Some(0));
    let mut comparison = Comparison::new("cache/invalidate_tag_1m/loopback");
    comparison.add_timed("perfkit", timed("many"));
    comparison.add_timed("one_entry", timed("one"));
    comparison.run(criterion);
    assert_eq!(cache.near(&0), None);
}

fn index(key: u64) -> usize {
    usize::try_from(key).expect("few keys")
}

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = far_hit_3_tags, get_many, invalidate_tag
);

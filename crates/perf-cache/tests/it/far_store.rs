//! What every far store must do.

use crate::Sure;
use perf_breaker::{CircuitBreaker, State};
use perf_cache::conformance;
use perf_cache::store::{
    BreakerStore, LeaseRequest, MemoryStore, MySqlStore, PostgresStore, RedisStore, RemoteStore,
    Settlement, SqliteStore, StoreError,
};
use perf_cache::{Cache, EntryPolicy, FarTier, envelope};
use perf_core::ManualClock;
use perf_testkit::{FaultProxy, MariaDbServer, PostgresServer, RedisServer};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn memory_keeps_the_contract() -> anyhow::Result<()> {
    Ok(conformance::remote_store(&MemoryStore::new(), "memory:").await?)
}

#[tokio::test]
async fn redis_keeps_the_contract() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let store = RedisStore::new(&server.url())?;
    Ok(conformance::remote_store(&store, &server.key_prefix()).await?)
}

/// The newer protocol answers in other forms, and has pushes among the answers.
#[tokio::test]
async fn redis_keeps_the_contract_by_the_newer_protocol() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let store = RedisStore::new(&format!("{}?protocol=resp3", server.url()))?;
    Ok(conformance::remote_store(&store, &server.key_prefix()).await?)
}

async fn postgres() -> anyhow::Result<PostgresStore> {
    let store = PostgresStore::new(&PostgresServer::shared()?.database()?.url())?;
    store.create_table().await?;
    store.create_table().await?;
    Ok(store)
}

async fn mariadb() -> anyhow::Result<MySqlStore> {
    let store = MySqlStore::new(&MariaDbServer::shared()?.database()?.url())?;
    store.create_table().await?;
    store.create_table().await?;
    Ok(store)
}

async fn sqlite(folder: &tempfile::TempDir) -> anyhow::Result<SqliteStore> {
    let path = folder.path().join("cache.db");
    let store = SqliteStore::new(&format!("sqlite://{}", path.display()))?;
    store.create_table().await?;
    store.create_table().await?;
    Ok(store)
}

#[tokio::test]
async fn postgres_keeps_the_contract() -> anyhow::Result<()> {
    Ok(conformance::remote_store(&postgres().await?, "a'\"`\\%_:").await?)
}

#[tokio::test]
async fn mariadb_keeps_the_contract() -> anyhow::Result<()> {
    Ok(conformance::remote_store(&mariadb().await?, "a'\"`\\%_:").await?)
}

#[tokio::test]
async fn sqlite_keeps_the_contract() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    Ok(conformance::remote_store(&sqlite(&folder).await?, "a'\"`\\%_:").await?)
}

/// More rows than one statement of any store concerns, some of them twice and none in order.
async fn hold_many(store: &dyn RemoteStore) -> Result<(), StoreError> {
    let count = 4_100_u64;
    let keys: Vec<String> = (0..count)
        .map(|key| format!("{:x}", key * 7_919 % 10_007))
        .collect();
    let leases: Vec<_> = (0..count).map(envelope::lease).collect();
    let tags: Vec<_> = (0..300)
        .map(|tag| (format!("tag {}", tag % 250), tag))
        .collect();
    let requests: Vec<_> = keys
        .iter()
        .zip(&leases)
        .map(|(key, lease)| LeaseRequest {
            key,
            lease: *lease,
            replacing: b"",
        })
        .collect();
    let leased = store.lease(&requests, LONG, &tags).await?;
    assert!(leased.granted.iter().all(|granted| *granted));
    assert_eq!(leased.generations.len(), 300);
    assert_eq!(leased.generations[..50], leased.generations[250..]);
    let value = |at: usize| (!at.is_multiple_of(3)).then_some((keys[at].as_bytes(), LONG));
    let settlements: Vec<_> = (0..keys.len())
        .map(|at| Settlement {
            key: &keys[at],
            lease: leases[at],
            value: value(at),
        })
        .collect();
    let settled = store.settle(&settlements).await?;
    assert!(settled.iter().all(|settled| *settled));
    let names: Vec<String> = tags.iter().map(|(tag, _)| tag.clone()).collect();
    let read = store.read(&keys, &names).await?;
    for (at, found) in read.values.iter().enumerate() {
        assert_eq!(found.as_deref(), value(at).map(|(value, _)| value));
    }
    let generations: Vec<_> = read.generations.into_iter().flatten().collect();
    assert_eq!(generations, leased.generations);
    store.remove(&keys).await
}

#[tokio::test]
async fn many_keys_at_once_are_each_their_own() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stores: [Arc<dyn RemoteStore>; 3] = [
        Arc::new(postgres().await?),
        Arc::new(mariadb().await?),
        Arc::new(sqlite(&folder).await?),
    ];
    for store in stores {
        hold_many(&*store)
            .await
            .map_err(|error| anyhow::anyhow!("{store:?}: {error:?}"))?;
        let info = store.info().await?;
        assert!(info.keys.is_some_and(|keys| keys >= 250), "{info:?}");
        assert!(info.memory_bytes.is_some_and(|bytes| bytes > 0), "{info:?}");
    }
    Ok(())
}

/// Each kind of request is one round trip, once its statement is known to the server.
async fn count_trips(store: &dyn RemoteStore, proxy: &FaultProxy) -> anyhow::Result<()> {
    let (keys, tags) = (
        ["a".to_owned(), "b".to_owned()],
        [("t".to_owned(), 1), ("u".to_owned(), 2)],
    );
    let requests = keys.each_ref().map(|key| LeaseRequest {
        key,
        lease: envelope::lease(1),
        replacing: b"",
    });
    let settlements = [Some((&b"value"[..], LONG)), None];
    let settlements = [0, 1].map(|at| Settlement {
        key: &keys[at],
        lease: envelope::lease(1),
        value: settlements[at],
    });
    let mut before = 0;
    for _ in 0..2 {
        before = proxy.traffic().round_trips;
        store.remove(&keys).await?;
        store.lease(&requests, LONG, &tags).await?;
        store.settle(&settlements).await?;
        store.read(&keys, &["t".to_owned()]).await?;
        store.put("a", b"value", LONG).await?;
        store.generations(&tags).await?;
        store.renew(&tags).await?;
        store.info().await?;
    }
    // The driver pings a connection on its way back to the pool, when the answer has been given.
    let trips = proxy.traffic().round_trips - before;
    assert!((8..=16).contains(&trips), "{trips} of {store:?}");
    Ok(())
}

#[tokio::test]
async fn every_request_is_one_round_trip() -> anyhow::Result<()> {
    let server = PostgresServer::shared()?;
    let (database, proxy) = (server.database()?, FaultProxy::start(server.address())?);
    // One connection, which learns each statement once.
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.test_before_acquire(false);
    let pool = pool.connect_lazy(&database.url_through(proxy.address()))?;
    let store = PostgresStore::from_pool(pool, "a \"table\"");
    store.create_table().await?;
    count_trips(&store, &proxy).await?;
    let server = MariaDbServer::shared()?;
    let (database, proxy) = (server.database()?, FaultProxy::start(server.address())?);
    let pool = MySqlPoolOptions::new().max_connections(1);
    let pool = pool.test_before_acquire(false);
    let pool = pool.connect_lazy(&database.url_through(proxy.address()))?;
    let store = MySqlStore::from_pool(pool, "a `table`");
    store.create_table().await?;
    count_trips(&store, &proxy).await
}

#[tokio::test]
async fn a_sweep_removes_what_has_expired_and_nothing_else() -> anyhow::Result<()> {
    let short = Duration::from_millis(1);
    let (postgres, mariadb) = (postgres().await?, mariadb().await?);
    for store in [&postgres as &dyn RemoteStore, &mariadb] {
        store.put("short", b"value", short).await?;
        store.put("long", b"value", LONG).await?;
        while store.read(&["short".to_owned()], &[]).await?.values != [None] {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((postgres.sweep().await?, postgres.sweep().await?), (1, 0));
    assert_eq!((mariadb.sweep().await?, mariadb.sweep().await?), (1, 0));
    let (folder, clock) = (tempfile::tempdir()?, ManualClock::new());
    let sqlite = sqlite(&folder).await?.with_clock(clock.clone());
    sqlite.put("short", b"value", short).await?;
    sqlite.put("long", b"value", LONG).await?;
    assert_eq!(sqlite.sweep().await?, 0);
    clock.advance(short);
    assert_eq!((sqlite.sweep().await?, sqlite.sweep().await?), (1, 0));
    Ok(())
}

/// Two nodes with a table between them: one load for both, and tags that reach across.
async fn share(store: impl RemoteStore + Clone) -> anyhow::Result<()> {
    let node = || {
        Cache::<u64, String>::builder("users")
            .far(FarTier::new(store.clone()))
            .build()
    };
    let (one, other) = (node()?, node()?);
    let load = async || {
        tokio::task::yield_now().await;
        Sure::Ok("seven".to_owned())
    };
    let policy = || EntryPolicy::new().tag("team:red").tag("all");
    let (a, b) = tokio::join!(
        one.get_or_load_with(7, policy(), load),
        other.get_or_load_with(7, policy(), load)
    );
    assert_eq!((&*a?, &*b?), ("seven", "seven"));
    assert_eq!(one.stats().loads + other.stats().loads, 1);
    one.invalidate_tag("team:red").await?;
    other.forget_all();
    assert_eq!((one.get(&7).await, other.get(&7).await), (None, None));
    one.insert(7, "eight".into()).await?;
    assert_eq!(other.get(&7).await.as_deref(), Some("eight"));
    assert_eq!(one.stats().far_failures + other.stats().far_failures, 0);
    assert!(one.backend_info().await?.is_some());
    Ok(())
}

#[tokio::test]
async fn nodes_share_a_table() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    share(postgres().await?).await?;
    share(mariadb().await?).await?;
    share(sqlite(&folder).await?).await
}

/// Many nodes at once on overlapping keys and tags: nobody deadlocks, and nothing fails.
async fn crowd(store: impl RemoteStore + Clone) -> anyhow::Result<()> {
    let tasks = (0..8_u64).map(|task| {
        let tier = FarTier::new(store.clone()).timeout(Duration::from_secs(60));
        let cache: Cache<u64, u64> = Cache::builder("crowd").far(tier).build()?;
        Ok(tokio::spawn(async move {
            for round in 0..20 {
                let keys = (0..12).map(|key| (key * (task + 3) + round) % 16);
                let load = async |keys: Vec<u64>| {
                    Sure::Ok(keys.into_iter().map(|key| (key, key)).collect())
                };
                let found = cache
                    .get_or_load_many(keys, load)
                    .await
                    .into_result()
                    .unwrap();
                assert!(found.iter().all(|(key, value)| key == value));
                match round % 3 {
                    0 => cache.invalidate(&(round % 16)).await.unwrap(),
                    1 => cache.invalidate_tags(["a", "b"]).await.unwrap(),
                    _ => cache.insert(round % 16, round % 16).await.unwrap(),
                };
            }
            cache.stats().far_failures
        }))
    });
    let tasks: anyhow::Result<Vec<_>> = tasks.collect();
    for task in tasks? {
        assert_eq!(task.await?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_nodes_does_not_deadlock() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    crowd(postgres().await?).await?;
    crowd(mariadb().await?).await?;
    crowd(sqlite(&folder).await?).await
}

#[test]
fn a_url_that_is_none_is_an_error() {
    assert!(PostgresStore::new("no url").is_err());
    assert!(MySqlStore::new("no url").is_err());
    assert!(SqliteStore::new("sqlite://cache.db?mode=nonsense").is_err());
}

#[tokio::test]
async fn a_store_behind_a_breaker_keeps_the_contract() -> anyhow::Result<()> {
    let store = BreakerStore::new(MemoryStore::new(), CircuitBreaker::new("memory"));
    Ok(conformance::remote_store(&store, "memory:").await?)
}

#[tokio::test]
async fn a_store_that_is_down_is_left_alone_until_a_probe_succeeds() -> anyhow::Result<()> {
    let (server, clock) = (RedisServer::start()?, ManualClock::new());
    let breaker = CircuitBreaker::builder("redis")
        .clock(clock.clone())
        .build()?;
    let store = BreakerStore::new(RedisStore::new(&server.url())?, breaker.clone());
    // Without the cache's own pause after a failure, every miss would ask.
    let tier = FarTier::new(store).cool_down(Duration::ZERO);
    let tier = tier.timeout(Duration::from_secs(10));
    let cache: Cache<u64, u64> = Cache::builder("guarded").far(tier).build()?;
    server.kill();
    let mut key = 0;
    while breaker.state() != State::Open {
        key += 1;
        cache.get_or_load(key, async || Sure::Ok(1)).await?;
    }
    let refusals = breaker.snapshot().rejected;
    for key in 1_000..2_000 {
        cache.get_or_load(key, async || Sure::Ok(1)).await?;
    }
    let refusals = breaker.snapshot().rejected - refusals;
    assert!(
        refusals >= 1_000,
        "{refusals} of a thousand misses were spared"
    );
    let refused = cache.invalidate(&1).await.expect_err("the writer is told");
    assert!(refused.is_transient(), "{refused}");
    server.restart()?;
    while breaker.state() != State::Closed {
        clock.advance(Duration::from_secs(60));
        key += 1;
        cache.get_or_load(key, async || Sure::Ok(1)).await?;
    }
    cache.invalidate(&1).await?;
    Ok(())
}

//! The stores on real servers: conformance, trips, and what happens to scripts and clocks.

use perf_breaker::{
    Charge, MemoryStore, MySqlStore, PostgresStore, RateLimitStore, RedisStore, SqliteStore,
    StoreError, conformance,
};
use perf_testkit::{FaultProxy, MariaDbServer, PostgresServer, RedisServer};
use std::sync::Arc;

const SECOND: u64 = 7_812_500;

fn hourly(burst: u64) -> Charge {
    let hour = 3_600 * SECOND;
    Charge::new(hour, burst * hour, hour)
}

async fn conforms(store: impl RateLimitStore) {
    let checked = conformance::rate_limit_store(Arc::new(store), "conformance").await;
    checked.unwrap();
}

fn redis(server: &RedisServer) -> RedisStore {
    RedisStore::new(&server.url(), &server.key_prefix()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms() {
    conforms(MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    conforms(redis(RedisServer::shared().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms_over_64_connections() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(64);
    let pool = options.connect_lazy(&database.url()).unwrap();
    let store = PostgresStore::from_pool(pool, "odd\"table");
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    conforms(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_conforms_over_64_connections() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let options = sqlx::mysql::MySqlPoolOptions::new().max_connections(64);
    let pool = options.connect_lazy(&database.url()).unwrap();
    let store = MySqlStore::from_pool(pool, "odd`table");
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    conforms(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms_over_64_connections() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("limits.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .busy_timeout(std::time::Duration::from_secs(60));
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(64);
    let store = SqliteStore::from_pool(pool.connect_lazy_with(options), "odd\"table");
    store.create_table().await.unwrap();
    store.create_table().await.unwrap();
    conforms(store).await;
}

/// The round trips that `requests` decisions take once connections and statements stand.
async fn trips(store: impl RateLimitStore, proxy: &FaultProxy, requests: u64) -> u64 {
    let charges = [hourly(1_000), hourly(2_000)];
    store.acquire(b"trips", &charges).await.unwrap();
    let before = proxy.traffic().round_trips;
    for _ in 0..requests {
        store.acquire(b"trips", &charges).await.unwrap();
    }
    proxy.traffic().round_trips - before
}

#[tokio::test]
async fn every_decision_is_one_round_trip() {
    let server = RedisServer::shared().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let url = server.url_through(proxy.address());
    let store = RedisStore::new(&url, &server.key_prefix()).unwrap();
    assert_eq!(trips(store, &proxy, 50).await, 50);
}

/// How often Postgres says that it has carried something out.
fn executed(server: &PostgresServer) -> usize {
    let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
    log.matches(" execute ").count() + log.matches(" statement: ").count()
}

#[tokio::test]
async fn every_decision_is_one_statement() {
    let charges = [hourly(1_000), hourly(2_000)];
    let server = PostgresServer::start_with(&["log_statement=all"]).unwrap();
    let store = PostgresStore::new(&server.database().unwrap().url()).unwrap();
    store.create_table().await.unwrap();
    store.acquire(b"key", &charges).await.unwrap();
    let before = executed(&server);
    for _ in 0..50 {
        store.acquire(b"key", &charges).await.unwrap();
    }
    assert_eq!(executed(&server) - before, 50);

    let server = MariaDbServer::shared().unwrap();
    let url = server.database().unwrap().url();
    let store = MySqlStore::new(&url).unwrap();
    store.create_table().await.unwrap();
    store.acquire(b"key", &charges).await.unwrap();
    let pool = sqlx::MySqlPool::connect(&url).await.unwrap();
    let counted = async || {
        let status = "SHOW GLOBAL STATUS WHERE variable_name IN \
                      ('Com_insert', 'Com_update', 'Com_stmt_execute', 'Com_delete', 'Com_begin')";
        let rows: Vec<(String, String)> = sqlx::query_as(status).fetch_all(&pool).await.unwrap();
        let counts = rows.iter().map(|(_, count)| count.parse::<u64>().unwrap());
        counts.sum::<u64>()
    };
    counted().await;
    let before = counted().await;
    for _ in 0..50 {
        store.acquire(b"key", &charges).await.unwrap();
    }
    // Fifty inserts, executed as prepared statements, and the prepared question itself.
    assert_eq!(counted().await - before, 50 + 50 + 1);
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_told_it_again() {
    let server = RedisServer::start().unwrap();
    let store = redis(&server);
    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    for used in 1..=3_u64 {
        let verdict = store.acquire(b"key", &[hourly(10)]).await.unwrap();
        assert_eq!(hourly(10).remaining(verdict.ahead), 10 - used);
        let flushed = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
        flushed.query_async::<()>(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn keys_go_once_everything_has_come_back() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let postgres = PostgresStore::new(&database.url()).unwrap();
    postgres.create_table().await.unwrap();
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let mysql = MySqlStore::new(&database.url()).unwrap();
    mysql.create_table().await.unwrap();
    let clock = perf_core::ManualClock::new();
    let sqlite = SqliteStore::new("sqlite::memory:").unwrap();
    let sqlite = sqlite.with_clock(clock.clone());
    sqlite.create_table().await.unwrap();
    let tick = Charge::new(1, 1, 1);
    for store in [&postgres as &dyn RateLimitStore, &mysql, &sqlite] {
        store.acquire(b"short", &[tick]).await.unwrap();
        store.acquire(b"long", &[hourly(1)]).await.unwrap();
    }
    clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(postgres.sweep().await.unwrap(), 1);
    assert_eq!(mysql.sweep().await.unwrap(), 1);
    assert_eq!(sqlite.sweep().await.unwrap(), 1);

    let server = RedisServer::start().unwrap();
    let store = redis(&server);
    store.acquire(b"short", &[tick]).await.unwrap();
    store.acquire(b"long", &[hourly(1)]).await.unwrap();
    let mut connection = redis::Client::open(server.url())
        .unwrap()
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    loop {
        let size: u64 = redis::cmd("DBSIZE")
            .query_async(&mut connection)
            .await
            .unwrap();
        if size == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// A store that cannot be reached says so, and that it may come back.
#[tokio::test]
async fn errors_tell_whether_trying_again_may_help() {
    let charge = [hourly(1)];
    let error = RedisStore::new("redis://127.0.0.1:1/", "").unwrap();
    let error = error.acquire(b"key", &charge).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let without_table = PostgresStore::new(&database.url()).unwrap();
    let error = without_table.acquire(b"key", &charge).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let without_table = MySqlStore::new(&database.url()).unwrap();
    let error = without_table.acquire(b"key", &charge).await.unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    let misspelt: [Result<(), StoreError>; 4] = [
        RedisStore::new("http://redis", "").map(drop),
        PostgresStore::new("nowhere").map(drop),
        MySqlStore::new("nowhere").map(drop),
        SqliteStore::new("sqlite://x?mode=nonsense").map(drop),
    ];
    assert!(misspelt.iter().all(Result::is_err), "{misspelt:?}");
}

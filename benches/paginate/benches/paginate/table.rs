//! One table of events for all benchmarks: sorted by kind and day, of which there are few.

use perf_paginate::{Limits, PageSource, Paginator, Resource, Signed};
use perf_testkit::PostgresServer;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::sync::LazyLock;
use std::thread;
use tokio::runtime::Runtime;

#[derive(Clone, Debug, PartialEq, Resource, serde::Serialize, sqlx::FromRow)]
#[resource(table = "events")]
pub(crate) struct Event {
    #[resource(key, sort)]
    pub(crate) id: i64,
    #[resource(sort)]
    pub(crate) kind: i64,
    #[resource(sort)]
    pub(crate) day: i64,
    #[resource(filter)]
    pub(crate) note: String,
}

pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("threads can be had"));

static SERVER: LazyLock<PostgresServer> =
    LazyLock::new(|| PostgresServer::start().expect("Postgres is installed"));

/// The address of a database with the table, filled once.
pub(crate) static URL: LazyLock<String> = LazyLock::new(|| {
    let database = SERVER.database().expect("a database");
    let url = database.url_unix();
    // Whoever asks first may be within the runtime, where nobody may wait for it.
    let filling = thread::spawn({
        let url = url.clone();
        move || RUNTIME.block_on(fill(&url))
    });
    filling.join().expect("a table");
    url
});

pub(crate) fn rows() -> i64 {
    if harness::is_quick() {
        200_000
    } else {
        1_000_000
    }
}

/// The event of an identity, whose kind and day are in no order of identities.
pub(crate) const CONTENT: &str = "id * 7919 % 100003 % 4, id * 7919 % 100003 % 365, 'event ' || id";

async fn fill(url: &str) {
    let pool = PgPool::connect(url).await.expect("the server is up");
    let fill = format!(
        "CREATE TABLE events (id BIGINT PRIMARY KEY, kind BIGINT NOT NULL, day BIGINT NOT NULL, note TEXT NOT NULL);
         INSERT INTO events SELECT id, {CONTENT} FROM generate_series(1::bigint, {}) AS id;
         CREATE INDEX ON events (kind, day, id);",
        rows()
    );
    run(&pool, fill).await;
    run(&pool, "VACUUM (ANALYZE) events".into()).await;
    pool.close().await;
}

async fn run(pool: &PgPool, sql: String) {
    let ran = sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await;
    ran.expect("a statement");
}

/// One connection, so that both sides of a comparison meet the same state of the server.
pub(crate) async fn pool() -> PgPool {
    let options = PgPoolOptions::new().max_connections(1).min_connections(1);
    options.connect(&URL).await.expect("the server is up")
}

pub(crate) fn paginator<S: PageSource>(source: S) -> Paginator<S> {
    let limits = Limits {
        max_offset: u64::MAX,
        max_size: 1_000_000,
        ..Limits::default()
    };
    let signed = Signed::new(&[7; Signed::MIN_KEY]).expect("long enough");
    Paginator::new(source, signed).with_limits(limits)
}

use criterion::Criterion;
use harness::Comparison;
use perf_pool::{Pool, PostgresManager};
use perf_testkit::PostgresServer;
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// Acquire, one query, return: what a web request does.
pub(crate) fn query_cycle(criterion: &mut Criterion) {
    let runtime = super::runtime();
    let server = PostgresServer::start().expect("Postgres is installed");
    let url = server.url();
    let ours = Pool::builder(PostgresManager::from_url(&url).expect("the URL is well-formed"));
    let ours = ours.build().expect("the settings make sense");
    let peer = runtime
        .block_on(PgPool::connect(&url))
        .expect("the server is up");
    let mut comparison = Comparison::new("pool/query_cycle/postgres_select_1");
    comparison.add_timed("perfkit", |count| {
        runtime.block_on(time(count, async || {
            sqlx::query_scalar("SELECT 1").fetch_one(&ours).await
        }))
    });
    comparison.add_timed("sqlx_pool", |count| {
        runtime.block_on(time(count, async || {
            sqlx::query_scalar("SELECT 1").fetch_one(&peer).await
        }))
    });
    comparison.run(criterion);
}

async fn time(count: u64, query: impl AsyncFn() -> sqlx::Result<i32>) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        assert_eq!(query().await.expect("the server answers"), 1);
    }
    start.elapsed()
}

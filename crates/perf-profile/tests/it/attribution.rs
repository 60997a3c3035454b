//! Every query is attributed to the request that ran it, however it ran.

pub(crate) mod workload;

use crate::support::{executions, pools, profiler, settle};
use perf_profile::{ProfileError, RequestScope};
use sqlx::Executor;
use std::time::Duration;
use tracing::Instrument;
use workload::{query, tally};

const REQUESTS: usize = 1_000;

/// sqlx also logs so many of a transaction's own statements, which differs by engine.
async fn settle_and_check(prefix: &str, of_transaction: u64) {
    settle().await;
    assert_eq!(tally(prefix), (10 * REQUESTS, 0));
    let snapshot = profiler().snapshot();
    let start = format!("{prefix}_");
    let requests: Vec<_> = snapshot
        .requests()
        .iter()
        .filter(|request| request.name.starts_with(&start))
        .collect();
    assert_eq!(requests.len(), REQUESTS);
    for request in requests {
        assert_eq!(
            (request.requests, request.queries),
            (1, 10 + of_transaction),
            "{request:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_requests_own_their_queries_on_sqlite() {
    profiler();
    workload::sqlite::run(&pools::sqlite(4).await, "on_sqlite", REQUESTS).await;
    settle_and_check("on_sqlite", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_requests_own_their_queries_on_postgres() {
    profiler();
    workload::postgres::run(&pools::postgres(4).await, "on_postgres", REQUESTS).await;
    settle_and_check("on_postgres", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_requests_own_their_queries_on_maria_db() {
    profiler();
    workload::maria_db::run(&pools::maria_db(4).await, "on_maria_db", REQUESTS).await;
    settle_and_check("on_maria_db", 2).await;
}

#[tokio::test]
async fn queries_outside_every_request_are_counted_as_such() {
    let pool = pools::sqlite(1).await;
    let before = profiler().snapshot().unscoped_queries();
    pool.fetch_all(query!("unscoped")).await.unwrap();
    let uninstrumented = {
        let pool = pool.clone();
        async move { tokio::spawn(async move { pool.fetch_all(query!("unscoped")).await }).await }
    };
    RequestScope::new("parent of an uninstrumented task")
        .run(uninstrumented)
        .await
        .unwrap()
        .unwrap();
    pool.close().await;
    let unscoped = executions(" AS unscoped ");
    assert_eq!(unscoped.len(), 2);
    assert!(unscoped.iter().all(|execution| execution.request.is_none()));
    assert!(profiler().snapshot().unscoped_queries() >= before + 2);
}

#[tokio::test]
async fn the_innermost_of_nested_requests_counts() {
    profiler();
    let pool = pools::sqlite(1).await;
    let nested = async {
        RequestScope::new("innermost")
            .run(pool.fetch_all(query!("innermost")))
            .await
    };
    RequestScope::new("outer").run(nested).await.unwrap();
    pool.close().await;
    let executions = executions(" AS innermost ");
    assert_eq!(executions.len(), 1);
    assert_eq!(executions[0].request.as_deref(), Some("innermost"));
}

#[tokio::test]
async fn a_request_lasts_as_long_as_a_task_that_it_spawned() {
    profiler();
    let (open, wait) = tokio::sync::oneshot::channel::<()>();
    let request = RequestScope::new("outlived");
    let task = request.in_scope(|| tokio::spawn(async { _ = wait.await }.in_current_span()));
    drop(request);
    let ended = |snapshot: perf_profile::Snapshot| {
        snapshot
            .requests()
            .iter()
            .filter(|request| request.name == "outlived")
            .count()
    };
    assert_eq!(ended(profiler().snapshot()), 0);
    open.send(()).unwrap();
    task.await.unwrap();
    settle().await;
    assert_eq!(ended(profiler().snapshot()), 1);
}

#[tokio::test]
async fn a_request_that_stays_open_holds_nobody_up() {
    profiler();
    let pool = pools::sqlite(1).await;
    let stays = RequestScope::new("stays open");
    let seen = profiler()
        .verify_by(pool.fetch_one(query!("verified")))
        .await;
    assert!(seen.unwrap().is_ok());
    assert!(!profiler().settled(Duration::from_millis(1)).await);
    drop(stays);
}

#[tokio::test]
async fn what_others_run_does_not_verify() {
    profiler();
    let pool = pools::sqlite(1).await;
    let other = RequestScope::new("of another");
    let nothing = other.run(pool.fetch_one(query!("of_another")));
    // Run by the verification, but for a request of its own.
    let unseen = profiler().verify_by(nothing).await;
    assert_eq!(unseen.unwrap_err(), ProfileError::StatementsNotLogged);
}

//! Every query is attributed to the request that ran it, however it ran.

use crate::support::{executions, profiler, sqlite};
use futures_util::TryStreamExt;
use perf_profile::RequestScope;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, Executor};
use tracing::Instrument;

/// A query of three rows that names the request that runs it.
fn query(request: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT n AS {request} FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3)"
    ))
}

/// Ten queries, each run in another way.
async fn handle(pool: SqlitePool, request: String) -> sqlx::Result<()> {
    pool.fetch_all(query(&request)).await?;
    pool.fetch_one(query(&request)).await?;
    pool.fetch_optional(query(&request)).await?;
    let mut slow = pool.fetch(query(&request));
    while slow.try_next().await?.is_some() {
        tokio::task::yield_now().await;
    }
    drop(slow);
    let mut early = pool.fetch(query(&request));
    early.try_next().await?;
    drop(early);
    let mut transaction = pool.begin().await?;
    transaction.execute(query(&request)).await?;
    transaction.rollback().await?;
    let nested = tracing::info_span!("nested").in_scope(|| tracing::debug_span!("deeper"));
    pool.fetch_all(query(&request)).instrument(nested).await?;
    let (left, right) = tokio::join!(
        pool.fetch_all(query(&request)),
        pool.fetch_all(query(&request))
    );
    left.and(right)?;
    let child = async move { pool.fetch_all(query(&request)).await };
    tokio::spawn(child.in_current_span())
        .await
        .expect("the child ends")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interleaved_requests_own_their_queries_on_sqlite() {
    const REQUESTS: usize = 1_000;
    let pool = sqlite(4).await;
    let profiler = profiler();
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let name = format!("attributed_{number}");
            tokio::spawn(RequestScope::new(&name).run(handle(pool.clone(), name)))
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    profiler.settled().await;
    let executions = executions(" AS attributed_");
    assert_eq!(executions.len(), 10 * REQUESTS);
    for execution in &executions {
        let request = execution.request.as_deref().expect("a request");
        assert!(
            execution.text.contains(&format!(" AS {request} ")),
            "{execution:?}"
        );
    }
    let snapshot = profiler.snapshot();
    let requests: Vec<_> = snapshot
        .requests()
        .iter()
        .filter(|request| request.name.starts_with("attributed_"))
        .collect();
    assert_eq!(requests.len(), REQUESTS);
    for request in requests {
        assert_eq!((request.requests, request.queries), (1, 10), "{request:?}");
    }
}

#[tokio::test]
async fn queries_outside_every_request_are_counted_as_such() {
    let pool = sqlite(1).await;
    let before = profiler().snapshot().unscoped_queries();
    pool.fetch_all(query("unscoped")).await.unwrap();
    let uninstrumented = {
        let pool = pool.clone();
        async move { tokio::spawn(async move { pool.fetch_all(query("unscoped")).await }).await }
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
    let pool = sqlite(1).await;
    let job = RequestScope::new("job in a request");
    RequestScope::new("request around a job")
        .run(async {
            let inner = job.span().in_scope(|| RequestScope::new("innermost"));
            drop(job.clone());
            inner.run(pool.fetch_all(query("innermost"))).await
        })
        .await
        .unwrap();
    pool.close().await;
    let executions = executions(" AS innermost ");
    assert_eq!(executions.len(), 1);
    assert_eq!(executions[0].request.as_deref(), Some("innermost"));
}

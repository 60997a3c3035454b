//! The finding on a real database. What is and is not one is judged case by case in the rule's own file.

use crate::support::{pools, profiler, settle};
use log::LevelFilter;
use perf_core::{Clock, SystemClock};
use perf_profile::{Finding, RequestScope, Rule};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{Executor, Row};
use std::time::Duration;

async fn fleet() -> SqlitePool {
    let pool = pools::sqlite(1).await;
    pool.execute("CREATE TABLE planes (tailnum TEXT PRIMARY KEY, model TEXT)")
        .await
        .unwrap();
    pool.execute("CREATE TABLE flights (id INTEGER PRIMARY KEY, tailnum TEXT)")
        .await
        .unwrap();
    for number in 0..30 {
        let tailnum = format!("N{number:03}");
        let plane = sqlx::query("INSERT INTO planes VALUES (?, 'A320')").bind(tailnum.clone());
        plane.execute(&pool).await.unwrap();
        let flight = sqlx::query("INSERT INTO flights (tailnum) VALUES (?)").bind(tailnum);
        flight.execute(&pool).await.unwrap();
    }
    pool
}

async fn one_by_one(pool: &SqlitePool) -> sqlx::Result<usize> {
    let flights = pool.fetch_all("SELECT id, tailnum FROM flights").await?;
    let mut found = 0;
    for flight in flights {
        let plane = sqlx::query("SELECT model FROM planes WHERE tailnum = ?")
            .bind(flight.get::<String, _>(1));
        found += usize::from(plane.fetch_optional(pool).await?.is_some());
    }
    Ok(found)
}

async fn joined(pool: &SqlitePool) -> sqlx::Result<usize> {
    let flights = pool
        .fetch_all("SELECT id, model FROM flights JOIN planes USING (tailnum)")
        .await?;
    Ok(flights.len())
}

async fn findings_of(name: &str) -> Vec<Finding> {
    settle().await;
    let findings = profiler().snapshot().findings().to_vec();
    findings
        .into_iter()
        .filter(|finding| finding.request == name)
        .collect()
}

#[tokio::test]
async fn a_loop_of_lookups_is_found_with_its_cause_and_its_cure() {
    profiler();
    let pool = fleet().await;
    for _ in 0..2 {
        let found = RequestScope::new("GET /flights one by one")
            .run(one_by_one(&pool))
            .await;
        assert_eq!(found.unwrap(), 30);
    }
    let findings = findings_of("GET /flights one by one").await;
    let [finding] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(finding.rule, Rule::NPlusOne);
    assert_eq!(
        finding.statement,
        "SELECT model FROM planes WHERE tailnum = ?"
    );
    assert_eq!((finding.repeats, finding.requests), (30, 2));
    let cause = finding.cause.as_ref().unwrap();
    assert_eq!(
        (cause.statement.as_str(), cause.rows),
        ("SELECT id, tailnum FROM flights", 30)
    );
    assert_eq!(finding.cure().item, "perf_bulk::BatchLoader");
    let text = finding.to_string();
    assert!(
        text.starts_with("N+1 queries in \"GET /flights one by one\" (2 requests)\n"),
        "{text}"
    );
    assert!(
        text.contains("29 of 30 round trips are avoidable"),
        "{text}"
    );
}

#[tokio::test]
async fn a_wait_for_the_pool_is_found() {
    profiler();
    let options = SqliteConnectOptions::new().in_memory(true);
    let pool = PoolOptions::<sqlx::Sqlite>::new()
        .max_connections(1)
        .acquire_time_level(LevelFilter::Debug);
    let pool = pool.connect_with(options).await.unwrap();
    let held = pool.acquire().await.unwrap();
    let waiting = {
        let pool = pool.clone();
        tokio::spawn(
            RequestScope::new("waits for the pool")
                .run(async move { _ = pool.acquire().await.unwrap() }),
        )
    };
    SystemClock.sleep(Duration::from_millis(150)).await;
    drop(held);
    waiting.await.unwrap();
    let findings = findings_of("waits for the pool").await;
    let [finding] = &findings[..] else {
        panic!("{findings:?}")
    };
    assert_eq!(
        (finding.rule, finding.repeats, finding.cure().item),
        (Rule::PoolWait, 1, "perf_pool::Pool")
    );
}

#[tokio::test]
async fn the_same_in_one_query_is_not_reported() {
    profiler();
    let pool = fleet().await;
    let found = RequestScope::new("GET /flights joined")
        .run(joined(&pool))
        .await;
    assert_eq!(found.unwrap(), 30);
    assert!(findings_of("GET /flights joined").await.is_empty());
}

//! Statements through an executor of the profiler, whose connections log none themselves.

use crate::support::{profiler, settle};
use futures_util::TryStreamExt;
use perf_core::{Dialect, ManualClock};
use perf_profile::{ProfiledExecutor, Profiler, QueryStats, RequestScope, Rule, profile};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row, SqlSafeStr};
use std::str::FromStr;
use std::time::Duration;

async fn sqlite() -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .in_memory(true)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect_with(options).await.unwrap()
}

fn query(profiler: &Profiler, part: &str) -> QueryStats {
    let snapshot = profiler.snapshot();
    let mut queries = snapshot.queries().iter();
    let found = queries.find(|query| query.text.contains(part));
    found.unwrap_or_else(|| panic!("no {part}")).clone()
}

/// Runs a statement in each way that sqlx offers.
macro_rules! run_all {
    ($profiler:expr, $pool:expr, $name:literal) => {{
        let (profiler, pool) = ($profiler, &$pool);
        let text = || {
            AssertSqlSafe(format!(
                "SELECT n AS {} FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) AS numbers",
                $name
            ))
        };
        let through = || profiler.executor(pool);
        assert_eq!(through().fetch_all(text()).await.unwrap().len(), 3);
        through().fetch_one(text()).await.unwrap();
        assert!(through().fetch_optional(text()).await.unwrap().is_some());
        through().execute(text()).await.unwrap();
        let mut early = through().fetch(text());
        early.try_next().await.unwrap();
        drop(early);
        let mut transaction = pool.begin().await.unwrap();
        let inside: ProfiledExecutor<_> = profiler.executor(&mut *transaction);
        inside.fetch_all(sqlx::query(text())).await.unwrap();
        transaction.rollback().await.unwrap();
        through().prepare(text().into_sql_str()).await.unwrap();
        through()
            .fetch_one(concat!("SELECT ", $name, " FROM missing"))
            .await
            .unwrap_err();

        let good = query(&profiler, concat!("SELECT n AS ", $name));
        assert_eq!((good.count, good.errors), (6, 0), "{good:?}");
        // Two rows of the stream that ended early may have come along with its first.
        assert!(
            (3 + 1 + 1 + 3 + 1 + 3..=3 + 1 + 1 + 3 + 3 + 3).contains(&good.rows_returned),
            "{good:?}"
        );
        assert_eq!(good.first_row.count, 6);
        let bad = query(&profiler, concat!("SELECT ", $name));
        assert_eq!(
            (bad.count, bad.errors, bad.rows_returned),
            (1, 1, 0),
            "{bad:?}"
        );
        assert_eq!(profiler.snapshot().running_queries().len(), 0);
    }};
}

#[tokio::test]
async fn every_way_to_run_a_statement_is_seen_on_sqlite() {
    let profiler = Profiler::builder().dialect(Dialect::Sqlite).build();
    run_all!(profiler, sqlite().await, "executed");
}

#[tokio::test]
async fn every_way_to_run_a_statement_is_seen_on_postgres() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let options = PgConnectOptions::from_str(&database.url()).unwrap();
    let pool = PgPool::connect_with(options.disable_statement_logging());
    run_all!(Profiler::builder().build(), pool.await.unwrap(), "executed");
}

#[tokio::test]
async fn every_way_to_run_a_statement_is_seen_on_maria_db() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let options = MySqlConnectOptions::from_str(&database.url()).unwrap();
    let pool = MySqlPool::connect_with(options.disable_statement_logging());
    let profiler = Profiler::builder().dialect(Dialect::MySql).build();
    run_all!(profiler, pool.await.unwrap(), "executed");
}

#[tokio::test]
async fn a_running_statement_is_shown_with_its_time() {
    let clock = ManualClock::new();
    let profiler = Profiler::builder()
        .dialect(Dialect::Sqlite)
        .clock(clock.clone())
        .build();
    let pool = sqlite().await;
    let mut rows = profiler
        .executor(&pool)
        .fetch("SELECT 1 AS running UNION SELECT 2");
    assert_eq!(
        profiler.snapshot().running_queries().len(),
        0,
        "it has not begun"
    );
    rows.try_next().await.unwrap();
    clock.advance(Duration::from_secs(7));
    let snapshot = profiler.snapshot();
    let [running] = snapshot.running_queries() else {
        panic!("{:?}", snapshot.running_queries())
    };
    assert_eq!(running.elapsed, Duration::from_secs(7));
    assert_eq!(running.text, "SELECT ? AS running UNION SELECT ?");
    drop(rows);
    assert_eq!(profiler.snapshot().running_queries().len(), 0);
    let slow = profiler.snapshot().slow_queries().to_vec();
    assert_eq!((slow.len(), slow[0].elapsed), (1, Duration::from_secs(7)));
}

#[profile]
async fn load_models(pool: &SqlitePool) -> sqlx::Result<usize> {
    let through = || profiler().executor(pool);
    let flights = through()
        .fetch_all("SELECT tailnum FROM placed_flights")
        .await?;
    for flight in &flights {
        let model = sqlx::query("SELECT model FROM placed_planes WHERE tailnum = ?");
        let model = model.bind(flight.get::<String, _>(0));
        model.fetch_optional(through()).await?;
    }
    Ok(flights.len())
}

#[tokio::test]
async fn a_finding_tells_the_function_and_the_request() {
    profiler();
    let pool = sqlite().await;
    let tables = "CREATE TABLE placed_planes (tailnum TEXT PRIMARY KEY, model TEXT);
        CREATE TABLE placed_flights AS SELECT value AS tailnum FROM json_each('[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]')";
    sqlx::raw_sql(tables).execute(&pool).await.unwrap();
    let request = RequestScope::new("GET /placed");
    assert_eq!(request.run(load_models(&pool)).await.unwrap(), 6);
    settle().await;

    let snapshot = profiler().snapshot();
    let mut findings = snapshot.findings().iter();
    let finding = findings
        .find(|finding| finding.request == "GET /placed")
        .unwrap();
    assert_eq!((finding.rule, finding.repeats), (Rule::NPlusOne, 6));
    assert_eq!(finding.function, Some("load_models"));
    assert!(
        finding.to_string().contains("place   load_models"),
        "{finding}"
    );
    let lookups = query(profiler(), "placed_planes");
    assert_eq!(lookups.functions, [("load_models", 6)]);
}

#[tokio::test]
async fn attempts_that_fail_are_no_loop_of_lookups() {
    profiler();
    let pool = sqlite().await;
    let table = "CREATE TABLE failing AS SELECT value AS id, -9223372036854775808 AS n FROM json_each('[1, 2, 3, 4, 5, 6]')";
    sqlx::raw_sql(table).execute(&pool).await.unwrap();
    let through = || profiler().executor(&pool);
    let attempts = async |lookup: &'static str| {
        let list = through().fetch_all("SELECT id FROM failing").await.unwrap();
        let mut failed = 0;
        for row in &list {
            let lookup = sqlx::query(lookup).bind(row.get::<i64, _>(0));
            failed += usize::from(lookup.fetch_one(through()).await.is_err());
        }
        failed
    };
    // There is no absolute value of the least number.
    let failing = attempts("SELECT abs(n) FROM failing WHERE id = ?");
    assert_eq!(RequestScope::new("failing").run(failing).await, 6);
    let succeeding = attempts("SELECT n FROM failing WHERE id = ?");
    assert_eq!(RequestScope::new("succeeding").run(succeeding).await, 0);
    settle().await;
    let snapshot = profiler().snapshot();
    let found = |name: &str| {
        snapshot
            .findings()
            .iter()
            .any(|finding| finding.request == name)
    };
    assert!(found("succeeding") && !found("failing"), "{snapshot}");
}

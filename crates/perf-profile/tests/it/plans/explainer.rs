//! Slow statements, explained in the background.

use super::advice::{mariadb, postgres, sqlite};
use super::planners::Counting;
use perf_core::{Clock, Dialect, ManualClock, SystemClock};
use perf_profile::{
    Advisor, Explainer, Explanation, MySqlPlanner, PostgresPlanner, Profiler, ProfilerBuilder,
    SqlitePlanner,
};
use sqlx::{AssertSqlSafe, Database, Executor, Pool};
use std::num::NonZeroU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A profiler that takes every execution for slow.
fn impatient(dialect: Dialect) -> ProfilerBuilder {
    Profiler::builder()
        .dialect(dialect)
        .slow_query(Duration::ZERO)
}

/// Lets the explainer work until there are so many explanations.
async fn explained(
    profiler: &Profiler,
    explainer: Explainer,
    statements: usize,
) -> Vec<Explanation> {
    let until = async {
        while profiler.snapshot().explanations().len() < statements {
            SystemClock.sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = explainer.interval(Duration::ZERO).run() => panic!("it ended"),
        () = until => {}
        () = SystemClock.sleep(Duration::from_secs(60)) => panic!("no explanation"),
    }
    profiler.snapshot().explanations().to_vec()
}

/// Runs `sql` three times, and returns what is found out about it.
async fn explanation_of<DB: Database>(
    dialect: Dialect,
    pool: &Pool<DB>,
    advisor: Advisor,
    sql: &'static str,
) -> (Profiler, Explanation)
where
    for<'c> &'c Pool<DB>: Executor<'c, Database = DB>,
{
    let profiler = impatient(dialect).build();
    for _ in 0..3 {
        profiler.executor(pool).fetch_all(sql).await.unwrap();
    }
    let explainer = Explainer::new(&profiler, advisor);
    let explanation = explained(&profiler, explainer, 1).await.remove(0);
    (profiler, explanation)
}

#[tokio::test]
async fn a_slow_statement_is_advised_an_index_on_each_engine() {
    let pool = sqlite().await;
    let advisor = Advisor::new(SqlitePlanner::new(pool.clone()));
    let sql = "SELECT * FROM flights WHERE tailnum = 'N17' LIMIT 3";
    let (profiler, on_sqlite) = explanation_of(Dialect::Sqlite, &pool, advisor, sql).await;
    let advice = on_sqlite.advice.as_ref().unwrap();
    let ddl = "CREATE INDEX \"flights_tailnum\" ON \"flights\" (\"tailnum\")";
    assert_eq!(advice.ddl(), [ddl]);
    assert_eq!((on_sqlite.slow, on_sqlite.failure), (3, None));
    let snapshot = profiler.snapshot();
    let markdown = snapshot.markdown().to_string();
    assert!(
        markdown.contains(
            "Slow 3 times: `SELECT * FROM flights WHERE tailnum = ? LIMIT ?`: misses an index"
        ),
        "{markdown}"
    );
    assert!(
        markdown.contains("make an index of flights (tailnum)"),
        "{markdown}"
    );
    assert!(markdown.contains(&format!("- `{ddl}`")), "{markdown}");
    assert!(
        snapshot.to_string().contains(&format!("cure    {ddl}")),
        "{snapshot}"
    );
    assert!(!markdown.contains("N17") && !snapshot.to_string().contains("N17"));

    let (pool, _database) = postgres().await;
    let planner = PostgresPlanner::new(pool.clone()).with_rolled_back_indexes();
    let sql = "SELECT * FROM flights WHERE tailnum = 'N17' AND origin IN ('EWR', 'JFK', 'LGA')";
    let advisor = Advisor::new(planner);
    let (_, on_postgres) = explanation_of(Dialect::Postgres, &pool, advisor, sql).await;
    let advice = on_postgres.advice.unwrap();
    assert!(advice.after.cost.unwrap() < advice.before.cost.unwrap() / 2.0);

    let (pool, _database) = mariadb().await;
    let advisor = Advisor::new(MySqlPlanner::new(pool.clone(), Dialect::MariaDb));
    let sql = "SELECT * FROM flights WHERE tailnum = 'N17'";
    let (_, on_mariadb) = explanation_of(Dialect::MariaDb, &pool, advisor, sql).await;
    assert!(on_mariadb.advice.is_some(), "{on_mariadb:?}");
}

#[tokio::test]
async fn only_what_was_slow_often_and_reads_is_asked_about() {
    let pool = sqlite().await;
    let profiler = impatient(Dialect::Sqlite).build();
    let run = async |sql: &str, times: usize| {
        for _ in 0..times {
            let sql = AssertSqlSafe(sql.to_owned());
            profiler.executor(&pool).execute(sql).await.unwrap();
        }
    };
    run("SELECT 1 FROM flights WHERE origin = 'EWR'", 2).await;
    run("UPDATE flights SET origin = origin WHERE id = 1", 9).await;
    run("SELECT 2 FROM flights WHERE dest = 'EWR'", 3).await;
    let planner = Counting::default();
    let explainer = Explainer::new(&profiler, Advisor::new(planner.clone()));
    let explanations = explained(&profiler, explainer, 1).await;
    assert_eq!(
        explanations[0].statement,
        "SELECT ? FROM flights WHERE dest = ?"
    );
    // Its plan, and the plan once more without the indexes that might be.
    assert_eq!(planner.asked.load(Relaxed), 2);

    let explainer = Explainer::new(&profiler, Advisor::new(planner));
    let all = explained(&profiler, explainer.after(NonZeroU64::MIN), 2).await;
    assert_eq!(all.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_explained_says_why() {
    let pool = sqlite().await;
    let advisor = Advisor::new(Counting::default()).question_timeout(Duration::from_millis(1));
    let sql = "SELECT 1 AS slow";
    let (_, slow) = explanation_of(Dialect::Sqlite, &pool, advisor, sql).await;
    assert_eq!(slow.failure.as_deref(), Some("the planner timed out"));
    assert_eq!((slow.plan, slow.advice), (None, None));
}

#[tokio::test]
async fn a_statement_is_asked_about_once_an_hour() {
    let (pool, clock) = (sqlite().await, ManualClock::new());
    let profiler = impatient(Dialect::Sqlite).clock(clock.clone()).build();
    for _ in 0..3 {
        let sql = "SELECT 1 FROM flights";
        profiler.executor(&pool).fetch_all(sql).await.unwrap();
    }
    let planner = Counting::default();
    let advisor = Advisor::new(planner.clone()).clock(clock.clone());
    let explainer = tokio::spawn(Explainer::new(&profiler, advisor).run());
    let asked = || planner.asked.load(Relaxed);
    while asked() < 2 {
        tokio::task::yield_now().await;
    }
    // Its interval is ten seconds: it looks again, and has nothing to ask.
    for _ in 0..359 {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!(asked(), 2);
    while asked() < 4 {
        clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }

    drop(profiler);
    while !explainer.is_finished() {
        clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
}

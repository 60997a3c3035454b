//! What a question must not do, and how it fails.

use super::advice::{mariadb, postgres, sqlite};
use async_trait::async_trait;
use perf_core::{Dialect, ManualClock};
use perf_profile::{
    Advisor, Index, MySqlPlanner, Plan, Planner, PostgresPlanner, ProfileError, SqlitePlanner,
};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const SQL: &str = "SELECT * FROM flights WHERE tailnum = ?";

#[tokio::test]
async fn nothing_is_left_behind() {
    let pool = sqlite().await;
    let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    assert!(
        Advisor::new(SqlitePlanner::new(pool.clone()))
            .advise(SQL)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        sqlx::query_scalar::<_, i64>(indexes)
            .fetch_one(&pool)
            .await
            .unwrap(),
        0
    );

    let (pool, _database) = postgres().await;
    let planner = PostgresPlanner::new(pool.clone()).with_rolled_back_indexes();
    let sql = "SELECT * FROM flights WHERE tailnum = $1";
    assert!(Advisor::new(planner).advise(sql).await.unwrap().is_some());
    let indexes = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'perf_advice%'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(indexes)
            .fetch_one(&pool)
            .await
            .unwrap(),
        0
    );

    let (pool, _database) = mariadb().await;
    let planner = MySqlPlanner::new(pool.clone(), Dialect::MariaDb);
    assert!(Advisor::new(planner).advise(SQL).await.unwrap().is_some());
    let indexes = "SELECT COUNT(*) FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND index_name LIKE 'perf_advice%'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(indexes)
            .fetch_one(&pool)
            .await
            .unwrap(),
        0
    );
    let rows = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM flights")
        .fetch_one(&pool)
        .await;
    assert_eq!(rows.unwrap(), 10_000);
}

#[tokio::test]
async fn without_hypopg_nothing_is_built_unless_allowed() {
    let (pool, _database) = postgres().await;
    let advisor = Advisor::new(PostgresPlanner::new(pool));
    let sql = "SELECT * FROM flights WHERE tailnum = $1";
    assert_eq!(advisor.explain(sql).await.unwrap().scans(), 1);
    let refused = advisor.advise(sql).await;
    assert!(
        matches!(refused, Err(ProfileError::PlannerFailed { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn bad_statements_are_named() {
    let advisor = Advisor::new(SqlitePlanner::new(sqlite().await));
    for sql in ["SELEC 1", "DELETE FROM flights", "SELECT 1; SELECT 2", ""] {
        let refused = advisor.advise(sql).await;
        assert!(
            matches!(refused, Err(ProfileError::UnsupportedStatement { .. })),
            "{sql}"
        );
    }
    for sql in [
        "SELECT nothing FROM flights",
        "SELECT * FROM nowhere WHERE a = 1",
    ] {
        let refused = advisor.explain(sql).await;
        assert!(
            matches!(refused, Err(ProfileError::PlannerFailed { .. })),
            "{sql}"
        );
    }
    let (pool, _database) = mariadb().await;
    let advisor = Advisor::new(MySqlPlanner::new(pool, Dialect::MariaDb));
    let refused = advisor.explain("SELECT nothing FROM flights").await;
    assert!(
        matches!(refused, Err(ProfileError::PlannerFailed { .. })),
        "{refused:?}"
    );
    // A session that failed is not used again, a new one is.
    assert!(advisor.advise(SQL).await.unwrap().is_some());
}

/// Counts questions, and never answers those about `slow`, nor which columns `unreachable` has.
#[derive(Clone, Default)]
pub(super) struct Counting {
    pub(super) asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Planner for Counting {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn columns(&self, table: &str) -> Result<Vec<String>, ProfileError> {
        if table == "unreachable" {
            pending::<()>().await;
        }
        Ok(Vec::new())
    }

    async fn explain(&self, sql: &str, _indexes: &[Index]) -> Result<Plan, ProfileError> {
        self.asked.fetch_add(1, Relaxed);
        if sql.contains("slow") {
            pending::<()>().await;
        }
        Plan::parse(Dialect::Sqlite, "SCAN t")
    }
}

#[tokio::test]
async fn an_answer_is_remembered_for_an_hour() {
    let (planner, clock) = (Counting::default(), ManualClock::new());
    let advisor = Advisor::new(planner.clone()).clock(clock.clone());
    for _ in 0..10 {
        assert!(advisor.advise("SELECT * FROM t").await.unwrap().is_none());
    }
    assert_eq!(planner.asked.load(Relaxed), 1);
    clock.advance(Duration::from_secs(3_600));
    advisor.advise("SELECT * FROM t").await.unwrap();
    assert_eq!(planner.asked.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_takes_no_longer_than_allowed() {
    let advisor = Advisor::new(Counting::default());
    let slow = advisor.advise("SELECT * FROM slow").await;
    assert_eq!(slow, Err(ProfileError::PlannerTimedOut));
    assert!(slow.unwrap_err().is_transient());
    let unreachable = advisor.advise("SELECT * FROM unreachable").await;
    assert_eq!(unreachable, Err(ProfileError::PlannerTimedOut));
    assert!(advisor.advise("SELECT * FROM quick").await.is_ok());
}

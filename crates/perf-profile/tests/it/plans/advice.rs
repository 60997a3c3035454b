//! On each engine: whatever is advised is used once it is made, and then advised no more.

use super::cases::{QUERIES, ROWS, SCHEMA, SERVED, numbered};
use perf_core::Dialect;
use perf_profile::{Advisor, MySqlPlanner, Planner, PostgresPlanner, SqlitePlanner};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{AssertSqlSafe, SqlitePool};
use std::time::Duration;

pub(super) async fn sqlite() -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    let numbers = "CREATE TEMP TABLE n AS
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT i FROM n";
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    sqlx::raw_sql(numbers).execute(&pool).await.unwrap();
    for rows in ROWS {
        let rows = rows.replace("CONCAT(", "concat(").replace("CHAR(", "char(");
        sqlx::raw_sql(AssertSqlSafe(rows))
            .execute(&pool)
            .await
            .unwrap();
    }
    sqlx::raw_sql("ANALYZE").execute(&pool).await.unwrap();
    pool
}

pub(super) async fn postgres() -> (PgPool, impl Sized) {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url()).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    for rows in ROWS {
        let rows = rows
            .replace("CHAR(", "CHR(")
            .replace("FROM n", "FROM generate_series(0, 9999) AS n(i)");
        sqlx::raw_sql(AssertSqlSafe(rows))
            .execute(&pool)
            .await
            .unwrap();
    }
    sqlx::raw_sql("ANALYZE").execute(&pool).await.unwrap();
    (pool, database)
}

pub(super) async fn mariadb() -> (MySqlPool, impl Sized) {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let pool = MySqlPool::connect(&database.url()).await.unwrap();
    sqlx::raw_sql(SCHEMA).execute(&pool).await.unwrap();
    for rows in ROWS {
        // MariaDB divides into fractions, and its CHAR has no character set unless told.
        let rows = rows
            .replace(" / ", " DIV ")
            .replace("FROM n", "FROM (SELECT seq AS i FROM seq_0_to_9999) AS n");
        sqlx::raw_sql(AssertSqlSafe(rows))
            .execute(&pool)
            .await
            .unwrap();
    }
    sqlx::raw_sql("ANALYZE TABLE airports, planes, flights, bookings")
        .execute(&pool)
        .await
        .unwrap();
    (pool, database)
}

/// Asks for advice on every query, and again with what was advised in place.
async fn is_used_once_made<P: Planner + 'static>(
    planner: impl Fn() -> P,
    write: impl Fn(&str) -> String,
    run: impl AsyncFn(String),
) -> usize {
    let mut advised = 0;
    for query in QUERIES {
        let sql = write(query);
        let ask = || Advisor::new(planner()).question_timeout(Duration::from_secs(60));
        let Some(advice) = ask().advise(&sql).await.unwrap() else {
            continue;
        };
        advised += 1;
        for ddl in advice.ddl() {
            run(ddl).await;
        }
        let plan = ask().explain(&sql).await.unwrap();
        for index in &advice.indexes {
            assert!(
                plan.uses(&index.suggested_name()),
                "{sql}: {index:?} is not used: {plan:#?}"
            );
        }
        let again = ask().advise(&sql).await.unwrap();
        assert!(
            again.is_none(),
            "{sql}: advised {again:?} on top of {:?}",
            advice.ddl()
        );
        for index in &advice.indexes {
            let name = index.suggested_name();
            match planner().dialect() {
                Dialect::MariaDb => run(format!("DROP INDEX `{name}` ON {}", index.table)).await,
                _ => run(format!("DROP INDEX \"{name}\"")).await,
            }
        }
    }
    for query in SERVED {
        let advice = Advisor::new(planner()).advise(&write(query)).await.unwrap();
        assert!(advice.is_none(), "{query}: {advice:?}");
    }
    advised
}

#[tokio::test]
async fn on_sqlite() {
    let pool = sqlite().await;
    let run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .unwrap();
    };
    let planner = || SqlitePlanner::new(pool.clone());
    let advised = is_used_once_made(planner, str::to_owned, run).await;
    assert!(advised >= 36, "{advised} of {}", QUERIES.len());
}

#[tokio::test]
async fn on_postgres() {
    let (pool, _database) = postgres().await;
    let run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .unwrap();
    };
    let planner = || PostgresPlanner::new(pool.clone()).with_rolled_back_indexes();
    let advised = is_used_once_made(planner, numbered, run).await;
    assert!(advised >= 30, "{advised} of {}", QUERIES.len());
}

#[tokio::test]
async fn on_postgres_with_hypopg() {
    let (pool, _database) = postgres().await;
    sqlx::raw_sql("CREATE EXTENSION hypopg")
        .execute(&pool)
        .await
        .expect("run `cargo xtask setup`");
    let run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .unwrap();
    };
    let planner = || PostgresPlanner::new(pool.clone());
    let advised = is_used_once_made(planner, numbered, run).await;
    assert!(advised >= 30, "{advised} of {}", QUERIES.len());
}

#[tokio::test]
async fn on_mariadb() {
    let (pool, _database) = mariadb().await;
    let run = async |sql: String| {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&pool)
            .await
            .unwrap();
    };
    let planner = || MySqlPlanner::new(pool.clone(), Dialect::MariaDb);
    let advised = is_used_once_made(planner, str::to_owned, run).await;
    assert!(advised >= 30, "{advised} of {}", QUERIES.len());
}

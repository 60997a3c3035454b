use super::failure::failed;
use super::{Planner, advice_name};
use crate::ProfileError;
use crate::plans::{Index, Plan};
use async_trait::async_trait;
use perf_core::Dialect;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqlitePool};

/// Explains statements of a SQLite database on an empty copy of its schema, in memory.
///
/// The copy has the tables, views, indexes and the statistics that `ANALYZE` last gathered, so SQLite
/// plans as it would for the original. The original is only read.
#[derive(Clone, Debug)]
pub struct SqlitePlanner {
    pool: SqlitePool,
}

impl SqlitePlanner {
    /// Explains what connections of `pool` would do.
    #[must_use]
    pub const fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    async fn copy(&self) -> Result<SqliteConnection, sqlx::Error> {
        // What is done to the copy is no work of the service's.
        let options = SqliteConnectOptions::new().in_memory(true);
        let mut copy = options.disable_statement_logging().connect().await?;
        // Virtual tables may need modules that the copy lacks. Triggers play no part in reading.
        let schema = "SELECT sql FROM sqlite_schema
            WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                AND type IN ('table', 'view', 'index') AND sql NOT LIKE 'CREATE VIRTUAL%'
            ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'view' THEN 1 ELSE 2 END";
        for row in sqlx::query(schema).fetch_all(&self.pool).await? {
            sqlx::raw_sql(AssertSqlSafe(row.try_get::<String, _>(0)?))
                .execute(&mut copy)
                .await?;
        }
        let analysed = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'";
        if sqlx::query(analysed)
            .fetch_optional(&self.pool)
            .await?
            .is_some()
        {
            sqlx::raw_sql("ANALYZE").execute(&mut copy).await?;
            sqlx::raw_sql("DELETE FROM sqlite_stat1")
                .execute(&mut copy)
                .await?;
            let statistics = "SELECT tbl, idx, stat FROM sqlite_stat1";
            for row in sqlx::query(statistics).fetch_all(&self.pool).await? {
                let copied = sqlx::query("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)")
                    .bind(row.try_get::<Option<String>, _>(0)?)
                    .bind(row.try_get::<Option<String>, _>(1)?)
                    .bind(row.try_get::<Option<String>, _>(2)?);
                copied.execute(&mut copy).await?;
            }
            // Makes the planner read what was written above.
            sqlx::raw_sql("ANALYZE sqlite_schema")
                .execute(&mut copy)
                .await?;
        }
        Ok(copy)
    }

    async fn details(&self, sql: &str, indexes: &[Index]) -> Result<String, sqlx::Error> {
        let mut copy = self.copy().await?;
        for (position, index) in indexes.iter().enumerate() {
            let ddl = index.ddl(Dialect::Sqlite, &advice_name(position));
            sqlx::raw_sql(AssertSqlSafe(ddl)).execute(&mut copy).await?;
        }
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&mut copy).await?;
        let details = rows.iter().map(|row| row.try_get::<String, _>("detail"));
        let details: Vec<_> = details.collect::<Result<_, _>>()?;
        copy.close().await?;
        Ok(details.join("\n"))
    }
}

#[async_trait]
impl Planner for SqlitePlanner {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn columns(&self, table: &str) -> Result<Vec<String>, ProfileError> {
        let columns =
            sqlx::query_scalar("SELECT lower(name) FROM pragma_table_info(?)").bind(table);
        columns
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed(&error))
    }

    async fn explain(&self, sql: &str, indexes: &[Index]) -> Result<Plan, ProfileError> {
        let details = self
            .details(sql, indexes)
            .await
            .map_err(|error| failed(&error))?;
        Plan::parse(Dialect::Sqlite, &details)
    }
}

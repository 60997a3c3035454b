use super::failure::failed;
use super::{Planner, advice_name};
use crate::ProfileError;
use crate::plans::candidates::Reading;
use crate::plans::{Index, Plan};
use async_trait::async_trait;
use perf_core::Dialect;
use sqlparser::ast::{Expr, Value, visit_expressions};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use std::ops::ControlFlow;

/// Explains statements of a Postgres database, version 12 or later, in read-only transactions.
///
/// Parameters (`$1`) stay open: the plan is the generic one, which Postgres makes for values that it does
/// not know. Indexes that do not exist are shown to the planner by HypoPG where that extension is created
/// in the database. Where it is not, there is no advice unless
/// [`PostgresPlanner::with_rolled_back_indexes`] allows to build them for real.
#[derive(Clone, Debug)]
pub struct PostgresPlanner {
    pool: PgPool,
    builds: bool,
}

/// How long the database itself may work on a statement here, which ends work that nobody waits for.
const STATEMENT_TIMEOUT: &str = "SET LOCAL statement_timeout = '10s'";

impl PostgresPlanner {
    /// Explains what connections of `pool` would do.
    #[must_use]
    pub const fn new(pool: PgPool) -> Self {
        Self {
            pool,
            builds: false,
        }
    }

    /// Builds indexes for real where HypoPG is missing, and rolls them back.
    ///
    /// While one is built, which takes as long as it does, nobody else can write to its table: point this
    /// at a copy of the database, not at the one that serves.
    #[must_use]
    pub const fn with_rolled_back_indexes(mut self) -> Self {
        self.builds = true;
        self
    }

    /// A connection of its own, so that nothing of an interrupted question stays in the pool, and nobody takes it for work
    /// of the service.
    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::clone(&self.pool.connect_options());
        options.disable_statement_logging().connect().await
    }

    async fn ask(&self, sql: &str, indexes: &[Index]) -> Result<String, ProfileError> {
        let parameters = parameters(sql)?;
        let failed = |error: sqlx::Error| failed(&error);
        let mut connection = self.connect().await.map_err(failed)?;
        let hypothetical = "SELECT 1 FROM pg_extension WHERE extname = 'hypopg'";
        let hypothetical = sqlx::raw_sql(hypothetical)
            .fetch_optional(&mut connection)
            .await;
        let hypothetical = hypothetical.map_err(failed)?.is_some();
        if !indexes.is_empty() && !hypothetical && !self.builds {
            return Err(ProfileError::PlannerFailed {
                reason: "no hypopg, and indexes may not be built".into(),
            });
        }
        let builds = !indexes.is_empty() && !hypothetical;
        let text = explain(&mut connection, sql, parameters, indexes, builds)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(text)
    }
}

#[async_trait]
impl Planner for PostgresPlanner {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn columns(&self, table: &str) -> Result<Vec<String>, ProfileError> {
        let columns = sqlx::query_scalar(
            "SELECT attname::text FROM pg_attribute
            WHERE attrelid = to_regclass(quote_ident($1)) AND attnum > 0 AND NOT attisdropped",
        );
        columns
            .bind(table)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed(&error))
    }

    async fn explain(&self, sql: &str, indexes: &[Index]) -> Result<Plan, ProfileError> {
        Plan::parse(Dialect::Postgres, &self.ask(sql, indexes).await?)
    }
}

async fn explain(
    connection: &mut PgConnection,
    sql: &str,
    parameters: usize,
    indexes: &[Index],
    builds: bool,
) -> Result<String, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if !builds {
        sqlx::raw_sql("SET TRANSACTION READ ONLY")
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::raw_sql(STATEMENT_TIMEOUT)
        .execute(&mut *transaction)
        .await?;
    let mut names = Vec::new();
    for (position, index) in indexes.iter().enumerate() {
        let name = advice_name(position);
        let ddl = index.ddl(Dialect::Postgres, &name);
        if builds {
            sqlx::raw_sql(AssertSqlSafe(ddl))
                .execute(&mut *transaction)
                .await?;
        } else {
            let create =
                sqlx::query_scalar("SELECT indexname FROM hypopg_create_index($1)").bind(ddl);
            let called: String = create.fetch_one(&mut *transaction).await?;
            names.push((called, name));
        }
    }
    let nulls = vec!["NULL"; parameters].join(", ");
    let execute = match parameters {
        0 => String::new(),
        _ => format!("({nulls})"),
    };
    let prepare =
        format!("SET LOCAL plan_cache_mode = force_generic_plan; PREPARE perf_advice AS {sql}");
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *transaction)
        .await?;
    let explain = AssertSqlSafe(format!(
        "EXPLAIN (FORMAT JSON) EXECUTE perf_advice{execute}"
    ));
    let row = sqlx::raw_sql(explain).fetch_one(&mut *transaction).await?;
    let text = row
        .try_get_raw(0)?
        .as_str()
        .map_err(sqlx::Error::Decode)?
        .to_owned();
    transaction.rollback().await?;
    // Hypothetical indexes have names of their own, such as "<13564>btree_flights_origin".
    Ok(names
        .iter()
        .fold(text, |text, (called, name)| text.replace(called, name)))
}

/// How many parameters a statement has: its highest `$n`.
fn parameters(sql: &str) -> Result<usize, ProfileError> {
    let reading = Reading::of(Dialect::Postgres, sql)?;
    let mut highest = 0;
    let _end: ControlFlow<()> = visit_expressions(&reading.query, |expression| {
        if let Expr::Value(value) = expression
            && let Value::Placeholder(name) = &value.value
        {
            let number = name.trim_start_matches('$').parse().unwrap_or(0);
            highest = highest.max(number);
        }
        ControlFlow::Continue(())
    });
    Ok(highest)
}

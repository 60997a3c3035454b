use super::failure::failed;
use super::{Planner, advice_name};
use crate::ProfileError;
use crate::plans::candidates::Reading;
use crate::plans::{Index, Plan};
use async_trait::async_trait;
use perf_core::Dialect;
use sqlparser::ast::{BinaryOperator, Expr, Value, visit_expressions, visit_expressions_mut};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use tokio::sync::Mutex;

/// Explains statements of a MySQL or MariaDB database on samples of its tables.
///
/// These databases cannot be asked about an index that does not exist, nor take one back in a
/// transaction. So each table is sampled into a temporary one of the same name, which this planner's own
/// connection sees in its place; indexes are made there. It needs the privilege
/// `CREATE TEMPORARY TABLES`. Costs are those of the sample.
///
/// Parameters (`?`) are replaced by values from the sample: for an equality one in the middle, for a range
/// one that leaves a tenth.
#[derive(Debug)]
pub struct MySqlPlanner {
    pool: MySqlPool,
    dialect: Dialect,
    sample: u32,
    session: Mutex<Option<Session>>,
}

#[derive(Debug)]
struct Session {
    connection: MySqlConnection,
    sampled: BTreeSet<String>,
}

/// Which value of a column stands for a parameter: how far up in its order, in hundredths.
type Rank = u8;

impl MySqlPlanner {
    /// Explains what connections of `pool` would do, on samples of 10,000 rows. `dialect` is
    /// [`Dialect::MySql`] or [`Dialect::MariaDb`]: their plans are written differently.
    #[must_use]
    pub fn new(pool: MySqlPool, dialect: Dialect) -> Self {
        Self {
            pool,
            dialect,
            sample: 10_000,
            session: Mutex::new(None),
        }
    }

    /// How many rows of a table are sampled at most. Default: 10,000.
    #[must_use]
    pub const fn sample_rows(mut self, rows: u32) -> Self {
        self.sample = rows;
        self
    }

    async fn connect(&self) -> Result<Session, ProfileError> {
        // What is asked here is no work of the service's.
        let options = MySqlConnectOptions::clone(&self.pool.connect_options());
        let connection = options.disable_statement_logging().connect().await;
        Ok(Session {
            connection: connection.map_err(|error| failed(&error))?,
            sampled: BTreeSet::new(),
        })
    }

    async fn ask(
        &self,
        session: &mut Session,
        sql: &str,
        indexes: &[Index],
    ) -> Result<String, ProfileError> {
        let reading = Reading::of(self.dialect, sql)?;
        let mut columns = BTreeMap::new();
        for table in reading.tables() {
            columns.insert(table.to_owned(), self.columns(table).await?);
            session.sample(table, self.sample).await?;
        }
        let sql = session.with_values(&reading, &columns).await?;
        for (position, index) in indexes.iter().enumerate() {
            session
                .run(index.ddl(self.dialect, &advice_name(position)))
                .await?;
        }
        let explain = AssertSqlSafe(format!("EXPLAIN FORMAT=JSON {sql}"));
        let text = sqlx::query_scalar(explain)
            .fetch_one(&mut session.connection)
            .await;
        for (position, index) in indexes.iter().enumerate() {
            let (table, name) = (quoted(&index.table), advice_name(position));
            session.run(format!("DROP INDEX {name} ON {table}")).await?;
        }
        text.map_err(|error| failed(&error))
    }
}

#[async_trait]
impl Planner for MySqlPlanner {
    fn dialect(&self) -> Dialect {
        self.dialect
    }

    async fn columns(&self, table: &str) -> Result<Vec<String>, ProfileError> {
        let columns = sqlx::query_scalar(
            "SELECT CONVERT(LOWER(column_name) USING utf8mb4) FROM information_schema.columns
            WHERE table_schema = DATABASE() AND table_name = ?",
        );
        columns
            .bind(table)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| failed(&error))
    }

    async fn explain(&self, sql: &str, indexes: &[Index]) -> Result<Plan, ProfileError> {
        let mut kept = self.session.lock().await;
        // Out of its place while in use: a session that failed or was interrupted is not used again.
        let mut session = match kept.take() {
            Some(session) => session,
            None => self.connect().await?,
        };
        let text = self.ask(&mut session, sql, indexes).await?;
        *kept = Some(session);
        Plan::parse(self.dialect, &text)
    }
}

impl Session {
    /// Puts a sample in the place of `table`. Under another name first, because the sample hides what it
    /// is taken from.
    async fn sample(&mut self, table: &str, rows: u32) -> Result<(), ProfileError> {
        if !self.sampled.insert(table.to_owned()) {
            return Ok(());
        }
        let (table, sample) = (quoted(table), "perf_advice_sample");
        self.run(format!("CREATE TEMPORARY TABLE {sample} LIKE {table}"))
            .await?;
        self.run(format!(
            "INSERT INTO {sample} SELECT * FROM {table} LIMIT {rows}"
        ))
        .await?;
        self.run(format!("ALTER TABLE {sample} RENAME TO {table}"))
            .await
    }

    async fn run(&mut self, sql: String) -> Result<(), ProfileError> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.connection)
            .await;
        done.map(|_done| ()).map_err(|error| failed(&error))
    }

    /// The statement with values in place of its parameters.
    async fn with_values(
        &mut self,
        reading: &Reading,
        columns: &BTreeMap<String, Vec<String>>,
    ) -> Result<String, ProfileError> {
        let mut values = BTreeMap::new();
        for (table, column, rank) in wanted(reading, columns) {
            let value = self.value(&table, &column, rank).await?;
            values.insert((table, column, rank), value);
        }
        let mut query = (*reading.query).clone();
        let _end: ControlFlow<()> = visit_expressions_mut(&mut query, |expression| {
            for (column, parameter, rank) in compared_mut(expression) {
                if let Some((table, column)) = reading.column(&column, columns)
                    && let Some(Some(value)) = values.get(&(table, column, rank))
                {
                    *parameter = Expr::value(Value::SingleQuotedString(value.replace('\'', "''")));
                }
            }
            ControlFlow::Continue(())
        });
        // What is left is no comparison with a column: a limit, an argument.
        let _end: ControlFlow<()> = visit_expressions_mut(&mut query, |expression| {
            if is_parameter(expression) {
                *expression = Expr::value(Value::Number("10".into(), false));
            }
            ControlFlow::Continue(())
        });
        Ok(query.to_string())
    }

    async fn value(
        &mut self,
        table: &str,
        column: &str,
        rank: Rank,
    ) -> Result<Option<String>, ProfileError> {
        let (table, column) = (quoted(table), quoted(column));
        let count = AssertSqlSafe(format!("SELECT COUNT({column}) FROM {table}"));
        let count = sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&mut self.connection)
            .await;
        let offset = count.map_err(|error| failed(&error))? * i64::from(rank) / 100;
        let value = AssertSqlSafe(format!(
            "SELECT CAST({column} AS CHAR) FROM {table} WHERE {column} IS NOT NULL
            ORDER BY {column} LIMIT 1 OFFSET {offset}"
        ));
        let value = sqlx::query_scalar(value)
            .fetch_optional(&mut self.connection)
            .await;
        value.map_err(|error| failed(&error))
    }
}

/// The values that a statement's parameters need.
fn wanted(
    reading: &Reading,
    columns: &BTreeMap<String, Vec<String>>,
) -> BTreeSet<(String, String, Rank)> {
    let mut wanted = BTreeSet::new();
    let _end: ControlFlow<()> = visit_expressions(&reading.query, |expression| {
        for (column, _, rank) in compared_mut(&mut expression.clone()) {
            if let Some((table, column)) = reading.column(&column, columns) {
                wanted.insert((table, column, rank));
            }
        }
        ControlFlow::Continue(())
    });
    wanted
}

/// The parameters of a comparison, each with what it is compared to and the value that should stand for
/// it.
fn compared_mut(expression: &mut Expr) -> Vec<(Expr, &mut Expr, Rank)> {
    let ranks = |op: &BinaryOperator| match op {
        BinaryOperator::Eq => Some((50, 50)),
        BinaryOperator::Gt | BinaryOperator::GtEq => Some((90, 10)),
        BinaryOperator::Lt | BinaryOperator::LtEq => Some((10, 90)),
        _ => None,
    };
    match expression {
        Expr::BinaryOp { left, op, right } => match ranks(op) {
            Some((rank, _)) if is_parameter(right) => vec![((**left).clone(), &mut **right, rank)],
            Some((_, rank)) if is_parameter(left) => vec![((**right).clone(), &mut **left, rank)],
            _ => Vec::new(),
        },
        Expr::InList { expr, list, .. } => {
            let parameters = list.iter_mut().filter(|item| is_parameter(item));
            parameters
                .map(|item| ((**expr).clone(), item, 50))
                .collect()
        }
        Expr::Between {
            expr, low, high, ..
        } if is_parameter(low) && is_parameter(high) => vec![
            ((**expr).clone(), &mut **low, 45),
            ((**expr).clone(), &mut **high, 55),
        ],
        Expr::Like { expr, pattern, .. } if is_parameter(pattern) => {
            vec![((**expr).clone(), &mut **pattern, 50)]
        }
        _ => Vec::new(),
    }
}

fn is_parameter(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

fn quoted(name: &str) -> String {
    let mut quoted = String::new();
    Dialect::MySql.push_identifier(&mut quoted, name);
    quoted
}

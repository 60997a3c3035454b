//! Which index a request needs, and whether the database seeks with those that are there.

use crate::condition::{Condition, Node};
use crate::filter::FilterOp;
use crate::order::{OrderKey, TotalOrder};
use crate::schema::Layout;
use perf_core::Dialect;
use std::fmt;

/// The index that lets every page of a request's shape be sought, or the two that it takes.
///
/// Fields that the filter fixes come first, then the order's: ascending where all of them go one way, otherwise as they
/// are sorted. What else the filter says is checked row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexAdvice {
    /// The statements that create it. SQLite needs a second index where a field behind the first has its NULLs at the
    /// other end.
    pub ddl: Vec<String>,
    /// What no index can help, or what to know before creating it.
    pub caveat: Option<&'static str>,
}

/// How the database would read the pages of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seek {
    /// The step of a plan that reads more than the page: a sort, or a scan of the table.
    pub obstacle: Option<String>,
    /// The plan of each statement.
    pub plans: Vec<String>,
    /// The index that would help.
    pub advice: IndexAdvice,
}

impl Seek {
    /// Whether the page costs its rows and a descent for each range of an index.
    #[must_use]
    pub const fn is_sought(&self) -> bool {
        self.obstacle.is_none()
    }
}

impl fmt::Display for IndexAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ddl.join("; "))?;
        match self.caveat {
            Some(caveat) => write!(f, " -- {caveat}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Seek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.obstacle {
            None => f.write_str("every page is sought")?,
            Some(obstacle) => write!(f, "not sought: {obstacle}\nindexes for it: {}", self.advice)?,
        }
        self.plans
            .iter()
            .try_for_each(|plan| write!(f, "\n\n{plan}"))
    }
}

/// Fails unless the database seeks the first and the second page of a query: in a test, on tables and indexes as they
/// are in production.
///
/// Takes a [`Paginator`](crate::Paginator) of a [`SqlSource`](crate::SqlSource) and a [`PageQuery`](crate::PageQuery),
/// and must stand in an `async` function.
///
/// SQLite plans alike for any table. PostgreSQL, MySQL and MariaDB sort a small table rather than seek in it: fill it
/// with some thousand rows, or let the test's connections to PostgreSQL set `enable_sort`, `enable_seqscan` and
/// `enable_bitmapscan` to `off`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_paginate::{Field, PageQuery, Paginator, Plain, Schema, SqlSource, assert_seek};
/// use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
///
/// let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// sqlx::raw_sql("CREATE TABLE flights (id INTEGER PRIMARY KEY, delay INTEGER NOT NULL)").execute(&pool).await?;
/// let schema = Schema::builder("flights")
///     .field(Field::new("id", |row: &(i64, i64)| row.0))
///     .field(Field::new("delay", |row: &(i64, i64)| row.1).sortable())
///     .key(["id"])
///     .build()?;
/// let paginator = Paginator::new(SqlSource::with_schema(pool.clone(), schema)?, Plain);
/// let by_delay = PageQuery::new().sort("-delay");
///
/// let seek = paginator.seek(&by_delay).await?;
/// assert!(!seek.is_sought());
/// assert_eq!(seek.advice.ddl, [r#"CREATE INDEX "by_delay_id" ON "flights" ("delay", "id")"#]);
/// sqlx::query(sqlx::AssertSqlSafe(seek.advice.ddl.concat())).execute(&pool).await?;
/// assert_seek!(paginator, by_delay);
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! assert_seek {
    ($paginator:expr, $query:expr $(,)?) => {
        match $paginator.seek(&$query).await {
            ::core::result::Result::Ok(seek) => ::core::assert!(seek.is_sought(), "{seek}"),
            ::core::result::Result::Err(error) => ::core::panic!("{error}"),
        }
    };
}

/// The index for a condition and an order.
pub(crate) fn index(
    dialect: Dialect,
    layout: &Layout,
    condition: &Condition,
    order: &TotalOrder,
) -> IndexAdvice {
    let mut writer = Writer {
        dialect,
        parts: Vec::new(),
        plain: Vec::new(),
        names: Vec::new(),
        caveat: None,
    };
    let mut fixed = Vec::new();
    collect_fixed(&condition.node, layout, &mut fixed);
    for field in &fixed {
        writer.column(&layout.fields[*field].column, "");
    }
    let keys = order
        .keys()
        .iter()
        .filter(|key| !fixed.contains(&key.field));
    let keys: Vec<OrderKey> = keys.copied().collect();
    // An index is read from either end, so that a sort in one direction shares it with the sort in the other. A mixed
    // sort takes several ranges, each of which costs PostgreSQL a buffer or two more backward.
    let backward = keys.iter().all(|key| key.descending);
    for (place, key) in keys.iter().enumerate() {
        let key = if backward { key.reversed() } else { *key };
        writer.key(&layout.fields[key.field].column, key, place == 0);
    }
    writer.finish(&layout.table)
}

/// Fields that have one value in all rows, or in all rows of a branch.
fn collect_fixed(node: &Node, layout: &Layout, fixed: &mut Vec<usize>) {
    match node {
        Node::All(nodes) => nodes
            .iter()
            .for_each(|node| collect_fixed(node, layout, fixed)),
        Node::Compare {
            field, operator, ..
        } => {
            let one = matches!(operator, FilterOp::Eq | FilterOp::IsNull);
            let branched = *operator == FilterOp::In && layout.fields[*field].leading;
            if (one || branched) && !fixed.contains(field) {
                fixed.push(*field);
            }
        }
        Node::Any(_) | Node::Not(_) => {}
    }
}

struct Writer {
    dialect: Dialect,
    parts: Vec<String>,
    /// The same without where NULLs are.
    plain: Vec<String>,
    names: Vec<String>,
    caveat: Option<&'static str>,
}

impl Writer {
    fn key(&mut self, column: &str, key: OrderKey, is_first: bool) {
        let descending = if key.descending { " DESC" } else { "" };
        if key.descending && self.dialect == Dialect::MySql {
            self.caveat = Some("MariaDB 10.11 has lost rows through descending parts of an index");
        }
        // The first key's NULLs are a range of their own.
        if is_first || key.is_natural(self.dialect.sorts_nulls_last()) {
            return self.column(column, descending);
        }
        match self.dialect {
            Dialect::Postgres => {
                let place = if key.nulls_first {
                    "NULLS FIRST"
                } else {
                    "NULLS LAST"
                };
                self.column(column, &format!("{descending} {place}"));
            }
            Dialect::Sqlite => {
                let place = if key.nulls_first {
                    " IS NULL DESC"
                } else {
                    " IS NULL"
                };
                self.parts.push(format!("{}{place}", self.quoted(column)));
                self.column(column, descending);
            }
            _ => {
                self.caveat = Some("no index has the NULLs there; ask for the other placement");
                self.column(column, descending);
            }
        }
    }

    fn column(&mut self, column: &str, suffix: &str) {
        let part = format!("{}{suffix}", self.quoted(column));
        self.plain.push(part.clone());
        self.parts.push(part);
        self.names.push(column.to_owned());
    }

    fn quoted(&self, name: &str) -> String {
        let mut text = String::new();
        self.dialect.push_identifier(&mut text, name);
        text
    }

    fn finish(self, table: &str) -> IndexAdvice {
        let name: String = format!("by_{}", self.names.join("_"))
            .chars()
            .take(60)
            .collect();
        let table: Vec<String> = table.split('.').map(|part| self.quoted(part)).collect();
        let table = table.join(".");
        let create = |name: &str, parts: &[String]| {
            format!(
                "CREATE INDEX {} ON {table} ({})",
                self.quoted(name),
                parts.join(", ")
            )
        };
        let mut ddl = vec![create(&name, &self.plain)];
        if self.parts != self.plain {
            ddl.push(create(&format!("{name}_nulls"), &self.parts));
        }
        IndexAdvice {
            ddl,
            caveat: self.caveat,
        }
    }
}

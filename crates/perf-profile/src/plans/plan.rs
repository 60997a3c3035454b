//! Plans of four databases in one form: a list of steps, and what they cost.

mod mariadb;
mod mysql;
mod postgres;
mod sqlite;

use crate::ProfileError;
use perf_core::Dialect;
use std::fmt;

/// What a database intends to do with a statement.
///
/// ```
/// # fn main() -> Result<(), perf_profile::ProfileError> {
/// use perf_core::Dialect;
/// use perf_profile::{Access, Plan};
///
/// let text = "SCAN flights\nUSE TEMP B-TREE FOR ORDER BY";
/// let plan = Plan::parse(Dialect::Sqlite, text)?;
/// assert_eq!(plan.steps[0].access, Access::Scan);
/// assert_eq!(plan.steps[0].table.as_deref(), Some("flights"));
/// assert_eq!(plan.findings().len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// Its steps, in the order in which the database lists them.
    pub steps: Vec<Step>,
    /// What the planner expects it to cost, in the planner's own unit: Postgres' and MySQL's cost,
    /// MariaDB's rows examined. SQLite tells none.
    pub cost: Option<f64>,
}

/// One step of a plan.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Step {
    /// What is done.
    pub access: Access,
    /// The table, or the name that the statement gave it.
    pub table: Option<String>,
    /// The index.
    pub index: Option<String>,
    /// Whether rows are read and then thrown away by a condition.
    pub filters: bool,
    /// How many rows the planner expects, each time it is done.
    pub rows: Option<f64>,
    /// How many rows there were, where the plan was run (`EXPLAIN ANALYZE`).
    pub actual_rows: Option<f64>,
}

/// How a step comes by its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// Reads a whole table.
    Scan,
    /// Reads a whole index.
    IndexScan,
    /// Looks up a place in an index and reads from there.
    Seek,
    /// Builds an index for this statement alone.
    AutomaticIndex,
    /// Sorts.
    Sort,
    /// Writes an intermediate result.
    TemporaryTable,
    /// Whatever else a plan is made of: joins, aggregates, limits.
    #[default]
    Other,
}

/// What is worth noticing about a plan.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
#[non_exhaustive]
pub enum PlanFinding {
    /// A whole table is read, and most of it thrown away.
    ScanWithFilter {
        /// The table.
        table: String,
    },
    /// Rows are sorted which no index delivers in order.
    Sort,
    /// An intermediate result is written.
    TemporaryTable,
    /// An index is built for one statement.
    AutomaticIndex {
        /// The table.
        table: String,
    },
    /// The planner was wrong by a factor of ten or more, so it may have chosen wrongly.
    Misestimate {
        /// The table.
        table: String,
        /// How many rows it expected.
        expected: f64,
        /// How many there were.
        actual: f64,
    },
}

/// From which factor on an estimate is called wrong.
const MISESTIMATE: f64 = 10.0;

impl Plan {
    /// Reads what `EXPLAIN` printed: `FORMAT JSON` of Postgres, `FORMAT=JSON` of MariaDB and MySQL (either
    /// version of its format), and the `detail` column of SQLite's `EXPLAIN QUERY PLAN`, a row a line.
    ///
    /// # Errors
    ///
    /// [`ProfileError::UnreadablePlan`] when the text is nothing of that kind. Steps of kinds that are not
    /// known become [`Access::Other`].
    pub fn parse(dialect: Dialect, text: &str) -> Result<Self, ProfileError> {
        match dialect {
            Dialect::Postgres => postgres::parse(&json(text)?),
            Dialect::MariaDb => mariadb::parse(&json(text)?),
            Dialect::MySql => mysql::parse(&json(text)?),
            Dialect::Sqlite => Ok(sqlite::parse(text)),
            _ => Err(unreadable("no parser for this database")),
        }
    }

    /// What is worth noticing.
    #[must_use]
    pub fn findings(&self) -> Vec<PlanFinding> {
        self.steps.iter().flat_map(Step::findings).collect()
    }

    /// Whether some step uses `index`.
    #[must_use]
    pub fn uses(&self, index: &str) -> bool {
        self.steps
            .iter()
            .any(|step| step.index.as_deref() == Some(index))
    }

    /// How many steps read a whole table.
    #[must_use]
    pub fn scans(&self) -> usize {
        self.count(|access| matches!(access, Access::Scan | Access::AutomaticIndex))
    }

    /// How many steps sort or write an intermediate result.
    #[must_use]
    pub fn sorts(&self) -> usize {
        self.count(|access| matches!(access, Access::Sort | Access::TemporaryTable))
    }

    fn count(&self, counted: impl Fn(Access) -> bool) -> usize {
        self.steps
            .iter()
            .filter(|step| counted(step.access))
            .count()
    }
}

impl Step {
    fn findings(&self) -> Vec<PlanFinding> {
        let table = || self.table.clone().unwrap_or_default();
        let mut findings = Vec::new();
        match self.access {
            Access::Scan if self.filters => {
                findings.push(PlanFinding::ScanWithFilter { table: table() })
            }
            Access::Sort => findings.push(PlanFinding::Sort),
            Access::TemporaryTable => findings.push(PlanFinding::TemporaryTable),
            Access::AutomaticIndex => findings.push(PlanFinding::AutomaticIndex { table: table() }),
            _ => {}
        }
        if let (Some(expected), Some(actual)) = (self.rows, self.actual_rows) {
            let factor = actual.max(1.0) / expected.max(1.0);
            if !(1.0 / MISESTIMATE..MISESTIMATE).contains(&factor) {
                let table = table();
                findings.push(PlanFinding::Misestimate {
                    table,
                    expected,
                    actual,
                });
            }
        }
        findings
    }
}

impl fmt::Display for PlanFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScanWithFilter { table } => {
                write!(f, "reads all of {table} and throws most of it away")
            }
            Self::Sort => f.write_str("sorts what no index delivers in order"),
            Self::TemporaryTable => f.write_str("writes an intermediate result"),
            Self::AutomaticIndex { table } => {
                write!(f, "builds an index on {table} for this statement alone")
            }
            Self::Misestimate {
                table,
                expected,
                actual,
            } => {
                write!(
                    f,
                    "expects {expected:.0} rows of {table} and gets {actual:.0}"
                )
            }
        }
    }
}

fn json(text: &str) -> Result<serde_json::Value, ProfileError> {
    serde_json::from_str(text).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(reason: &str) -> ProfileError {
    ProfileError::UnreadablePlan {
        reason: reason.into(),
    }
}

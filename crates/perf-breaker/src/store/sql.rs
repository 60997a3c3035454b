//! What the SQL stores share: the table's shape and the judgement of errors.
//!
//! A key is one row with a column for each limit's arrival, because one statement must move all of them or
//! none. Each statement also writes when it ran and whether it took its price: the databases can return
//! what a row has become, and few of them what it was.

use super::Charge;
use crate::error::StoreError;
use crate::quota::Quota;
use perf_core::{Dialect, Transience};

/// A table with quotes around its name.
#[derive(Clone, Debug)]
pub(super) struct Table {
    quoted: String,
}

impl Table {
    pub(super) fn new(dialect: Dialect, name: &str) -> Self {
        let mut quoted = String::new();
        dialect.push_identifier(&mut quoted, name);
        Self { quoted }
    }

    pub(super) fn name(&self) -> &str {
        &self.quoted
    }

    /// The table, unless it is there. `more` are columns of one database.
    pub(super) fn definition(&self, key: &str, more: &str) -> String {
        let columns = list(Quota::MOST_LIMITS, |limit| {
            format!("a{limit} BIGINT NOT NULL DEFAULT 0")
        });
        format!(
            "CREATE TABLE IF NOT EXISTS {} (id {key} NOT NULL PRIMARY KEY, \
             seen BIGINT NOT NULL, allowed SMALLINT NOT NULL, {columns}{more})",
            self.quoted
        )
    }

    /// Removes the rows that say as little as none, as of `now`.
    pub(super) fn sweep(&self, now: &str) -> String {
        let passed: Vec<_> = (0..Quota::MOST_LIMITS)
            .map(|limit| format!("a{limit} < {now}"))
            .collect();
        format!("DELETE FROM {} WHERE {}", self.quoted, passed.join(" AND "))
    }

    /// Removes the row of one key, for databases that number their parameters so.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(dead_code, reason = "MySQL does not")
    )]
    pub(super) fn reset(&self) -> String {
        format!("DELETE FROM {} WHERE id = $1", self.quoted)
    }
}

/// One item for each limit, with commas between.
pub(super) fn list(limits: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<_> = (0..limits).map(item).collect();
    items.join(", ")
}

/// As [`list`], with conjunctions.
pub(super) fn all(limits: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<_> = (0..limits).map(item).collect();
    items.join(" AND ")
}

/// A number of ticks as SQL has it; none of ours comes near its end.
pub(super) fn ticks(ticks: u64) -> i64 {
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

/// What lay ahead before the call, from what lies ahead after it.
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(dead_code, reason = "MySQL answers with the verdict itself")
)]
pub(super) fn before(charges: &[Charge], after: &[i64], allowed: bool) -> Vec<u64> {
    let taken = |charge: &Charge| if allowed { charge.price } else { 0 };
    let ahead = |(charge, after): (&Charge, &i64)| {
        u64::try_from(*after)
            .unwrap_or(0)
            .saturating_sub(taken(charge))
    };
    charges.iter().zip(after).map(ahead).collect()
}

/// Judges an error by the driver's own code, if it has one.
pub(super) fn judge(
    error: sqlx::Error,
    of_code: impl Fn(&dyn sqlx::error::DatabaseError) -> Transience,
) -> StoreError {
    let transience = match &error {
        sqlx::Error::Database(error) => of_code(error.as_ref()),
        sqlx::Error::Configuration(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_) => Transience::Permanent,
        _ => Transience::Transient,
    };
    StoreError::new(error, transience)
}

/// The requests of a store whose database answers an `INSERT` with columns. Postgres and SQLite differ in
/// their texts, in the type of a small number, and in whose clock counts: `timed` begins a statement that
/// is told the time if it must be, `query` one that needs none.
#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(unused_macros, reason = "MySQL answers with the verdict itself")
)]
macro_rules! answering_store {
    ($store:ty, $row:ty, $flag:ty) => {
        #[async_trait]
        impl RateLimitStore for $store {
            async fn acquire(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
                let mut query = self.timed(self.acquire_sql(charges.len()), key);
                for charge in charges {
                    query = query.bind(ticks(charge.price)).bind(ticks(charge.capacity));
                }
                let row = query.fetch_one(&self.pool).await.map_err(judge_code)?;
                let allowed: $flag = row.try_get(0).map_err(judge_code)?;
                let after = numbers(&row, 1, charges.len())?;
                Ok(Verdict::of(charges, &before(charges, &after, allowed == 1)))
            }

            async fn peek(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
                let mut query = self.timed(self.peek_sql(charges.len()), key);
                for charge in charges {
                    query = query.bind(ticks(charge.capacity));
                }
                let row = query.fetch_optional(&self.pool).await.map_err(judge_code)?;
                let aheads = match row {
                    Some(row) => before(charges, &numbers(&row, 0, charges.len())?, false),
                    None => vec![0; charges.len()],
                };
                Ok(Verdict::of(charges, &aheads).before(charges))
            }

            async fn refund(&self, key: &[u8], charges: &[Charge]) -> Result<(), StoreError> {
                let mut query = query(self.refund_sql(charges.len()), key);
                for charge in charges {
                    query = query.bind(ticks(charge.price));
                }
                let refunded = query.execute(&self.pool).await;
                refunded.map(drop).map_err(judge_code)
            }

            async fn reset(&self, key: &[u8]) -> Result<(), StoreError> {
                let removed = query(self.table.reset(), key).execute(&self.pool).await;
                removed.map(drop).map_err(judge_code)
            }
        }

        fn numbers(row: &$row, from: usize, count: usize) -> Result<Vec<i64>, StoreError> {
            let number = |place| row.try_get(place).map_err(judge_code);
            (from..from + count).map(number).collect()
        }
    };
}

#[cfg_attr(
    not(any(feature = "postgres", feature = "sqlite")),
    expect(unused_imports, reason = "MySQL answers with the verdict itself")
)]
pub(super) use answering_store;

use super::sql::{Table, all, judge, list, ticks};
use super::{Charge, RateLimitStore, Verdict};
use crate::error::StoreError;
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::mysql::{MySql, MySqlArguments, MySqlDatabaseError, MySqlPool, MySqlPoolOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};

/// A store on MariaDB or MySQL, one statement a request.
///
/// MySQL can return nothing from an insert but one number, its last insert id; the verdict is packed into
/// that. So [`Verdict::ahead`] of an allowed call is rounded up to a whole call. Rows stay until
/// [`sweep`](Self::sweep) removes them.
#[derive(Clone, Debug)]
pub struct MySqlStore {
    pool: MySqlPool,
    table: Table,
}

/// The server's clock in ticks, read when it is reached and not when the statement began.
const NOW: &str = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 7812500 AS SIGNED)";

impl MySqlStore {
    /// A store in the table `perf_rate_limits` of the database at `url`, connected when it is first asked,
    /// over at most eight connections.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connections live.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        // A broken connection shows at the statement, which is safe to refuse; a ping would double the trips.
        let options = MySqlPoolOptions::new()
            .max_connections(8)
            .test_before_acquire(false);
        let pool = options.connect_lazy(url).map_err(judge_code)?;
        Ok(Self::from_pool(pool, "perf_rate_limits"))
    }

    /// A store in the table `table` over connections of one's own.
    #[must_use]
    pub fn from_pool(pool: MySqlPool, table: &str) -> Self {
        Self {
            pool,
            table: Table::new(Dialect::MySql, table),
        }
    }

    /// Creates the table unless it is there.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// The table may have been created.
    pub async fn create_table(&self) -> Result<(), StoreError> {
        let sql = self
            .table
            .definition("VARBINARY(255)", ", answer BIGINT UNSIGNED NOT NULL");
        let created = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        created.map(drop).map_err(judge_code)
    }

    /// Removes keys whose calls have all come back, and says how many they were.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// They may have been removed.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let sql = self.table.sweep(NOW);
        let swept = sqlx::query(AssertSqlSafe(sql)).execute(&self.pool).await;
        Ok(swept.map_err(judge_code)?.rows_affected())
    }

    /// Assignments of one row are made from left to right, each seeing those before it: first the clock,
    /// then every arrival as it counts now, whether the price fits, and the move.
    fn acquire_sql(&self, charges: &[Charge]) -> String {
        let (table, limits) = (self.table.name(), charges.len());
        let charge = |limit: usize| {
            let Charge {
                price, capacity, ..
            } = charges[limit];
            (ticks(price), ticks(capacity))
        };
        let columns = list(limits, |limit| format!("a{limit}"));
        let fresh = list(limits, |limit| format!("seen + {}", charge(limit).0));
        let level = |limit| {
            let most = charge(limit).1;
            format!("LEAST(GREATEST(a{limit}, seen), seen + {most})")
        };
        let fits = all(limits, |limit| {
            let (price, capacity) = charge(limit);
            format!("{} + {price} - seen <= {capacity}", level(limit))
        });
        let moved = list(limits, |limit| {
            let price = charge(limit).0;
            format!("a{limit} = {} + IF(allowed, {price}, 0)", level(limit))
        });
        let (left, wait) = (packed_left(charges), packed_wait(charges));
        format!(
            "INSERT INTO {table} (id, seen, allowed, {columns}, answer) \
             VALUES (?, {NOW}, 1, {fresh}, LAST_INSERT_ID({left})) \
             ON DUPLICATE KEY UPDATE seen = {NOW}, allowed = ({fits}), {moved}, \
             answer = LAST_INSERT_ID(IF(allowed, {left}, {wait}))"
        )
    }

    fn peek_sql(&self, charges: &[Charge]) -> String {
        let ahead = list(charges.len(), |limit| {
            let most = ticks(charges[limit].capacity);
            format!("LEAST(GREATEST(a{limit} - now, 0), {most})")
        });
        let table = self.table.name();
        format!("SELECT {ahead} FROM {table}, (SELECT {NOW} AS now) AS clock WHERE id = ?")
    }

    fn refund_sql(&self, charges: &[Charge]) -> String {
        let back = list(charges.len(), |limit| {
            format!("a{limit} = a{limit} - {}", ticks(charges[limit].price))
        });
        format!("UPDATE {} SET {back} WHERE id = ?", self.table.name())
    }
}

/// The fewest calls left, with their limit's place and a one: `{calls, place 3, allowed 1}`.
fn packed_left(charges: &[Charge]) -> String {
    least_or_greatest("LEAST", charges, |limit| {
        let (capacity, interval) = (
            ticks(charges[limit].capacity),
            ticks(charges[limit].interval),
        );
        let pack = limit * 2 + 1;
        format!("(({capacity} - (a{limit} - seen)) DIV {interval}) * 16 + {pack}")
    })
}

/// The longest wait, with its limit's place and a zero.
fn packed_wait(charges: &[Charge]) -> String {
    least_or_greatest("GREATEST", charges, |limit| {
        let excess = ticks(charges[limit].price) - ticks(charges[limit].capacity);
        let pack = limit * 2;
        format!("(a{limit} - seen + {excess}) * 16 + {pack}")
    })
}

/// Of one thing there is no least: both functions want two arguments.
fn least_or_greatest(name: &str, charges: &[Charge], item: impl Fn(usize) -> String) -> String {
    if charges.len() == 1 {
        item(0)
    } else {
        format!("{name}({})", list(charges.len(), item))
    }
}

fn unpack(answer: u64, charges: &[Charge]) -> Verdict {
    let limit = usize::try_from(answer / 2 % 8)
        .unwrap_or(0)
        .min(charges.len() - 1);
    let (charge, value) = (charges[limit], answer / 16);
    if answer % 2 == 1 {
        Verdict {
            limit,
            ahead: charge.capacity.saturating_sub(value * charge.interval),
            wait: 0,
        }
    } else {
        Verdict {
            limit,
            ahead: (charge.capacity + value).saturating_sub(charge.price),
            wait: value,
        }
    }
}

#[async_trait]
impl RateLimitStore for MySqlStore {
    async fn acquire(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        let query = query(self.acquire_sql(charges), key);
        let done = query.execute(&self.pool).await.map_err(judge_code)?;
        Ok(unpack(done.last_insert_id(), charges))
    }

    async fn peek(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        let query = query(self.peek_sql(charges), key);
        let row = query.fetch_optional(&self.pool).await.map_err(judge_code)?;
        let aheads = match row {
            Some(row) => {
                let ahead = |limit| row.try_get::<i64, _>(limit).map_err(judge_code);
                let aheads: Result<Vec<_>, _> = (0..charges.len()).map(ahead).collect();
                aheads?.into_iter().map(i64::unsigned_abs).collect()
            }
            None => vec![0; charges.len()],
        };
        Ok(Verdict::of(charges, &aheads).before(charges))
    }

    async fn refund(&self, key: &[u8], charges: &[Charge]) -> Result<(), StoreError> {
        let refunded = query(self.refund_sql(charges), key)
            .execute(&self.pool)
            .await;
        refunded.map(drop).map_err(judge_code)
    }

    async fn reset(&self, key: &[u8]) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE id = ?", self.table.name());
        let removed = query(sql, key).execute(&self.pool).await;
        removed.map(drop).map_err(judge_code)
    }
}

fn query(sql: String, key: &[u8]) -> Query<'static, MySql, MySqlArguments> {
    sqlx::query(AssertSqlSafe(sql)).bind(key.to_vec())
}

fn judge_code(error: sqlx::Error) -> StoreError {
    judge(error, |error| {
        let mysql = error.try_downcast_ref::<MySqlDatabaseError>();
        mysql.map_or(Transience::Permanent, |error| {
            Transience::of_mysql_number(error.number())
        })
    })
}

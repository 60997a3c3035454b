use super::sql::{SqlManager, classify, expect_scheme, impl_executor, roll_back_known};
use super::{Fate, Manager};
use perf_core::Transience;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

/// A manager of SQLite connections.
///
/// Statements run on `&Pool<SqliteManager>` or on `&mut guard`, and there leave neither a transaction nor
/// a running statement behind however they end. Those on `&mut *guard`, the bare connection, cost a reset
/// on return.
///
/// The rest of the session is not reset: pragmas, temporary tables and attached databases reach the next
/// holder. Pragmas for all connections belong into the options; whoever uses the others undoes them, or
/// ends with [`Pooled::discard`](crate::Pooled::discard).
///
/// ```
/// use perf_pool::{Pool, SqliteManager};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(SqliteManager::from_url("sqlite::memory:")?).max_size(4).build()?;
/// let answer: i64 = sqlx::query_scalar("SELECT 6 * 7").fetch_one(&pool).await?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteManager {
    options: SqliteConnectOptions,
}

impl SqliteManager {
    /// For the database that a URL such as `sqlite://data.db?mode=rwc` names.
    ///
    /// `sqlite::memory:` names a database that the pool's connections share and that is gone with the
    /// last of them: keep [`min_idle`](crate::PoolBuilder::min_idle) at 1 for one that stays.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, or of another kind of database.
    pub fn from_url(url: &str) -> sqlx::Result<Self> {
        expect_scheme(url, &["sqlite"])?;
        Ok(Self::with_options(url.parse()?))
    }

    /// For connections with these options.
    #[must_use]
    pub const fn with_options(options: SqliteConnectOptions) -> Self {
        Self { options }
    }
}

impl Manager for SqliteManager {
    type Resource = SqliteConnection;
    type Error = sqlx::Error;

    const CLEAN_AFTER_ACCESS: bool = false;

    async fn create(&self) -> sqlx::Result<SqliteConnection> {
        self.options.connect().await
    }

    async fn check(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        connection.ping().await
    }

    async fn reset(&self, connection: &mut SqliteConnection) -> sqlx::Result<Fate> {
        roll_back_known::<Sqlite>(connection).await?;
        match sqlx::raw_sql("ROLLBACK").execute(connection).await {
            Ok(_) => Ok(Fate::Keep),
            // The usual case: nothing was open.
            Err(sqlx::Error::Database(error))
                if error.message().contains("no transaction is active") =>
            {
                Ok(Fate::Keep)
            }
            Err(error) => Err(error),
        }
    }

    async fn close(&self, connection: SqliteConnection) {
        let _unneeded = connection.close().await;
    }

    fn classify(&self, error: &sqlx::Error) -> Transience {
        classify(error, |error| {
            let code = error.code().and_then(|code| code.parse().ok());
            code.map_or(Transience::Permanent, Transience::of_sqlite_code)
        })
    }
}

impl SqlManager for SqliteManager {
    type Database = Sqlite;

    fn ends_session(_: &dyn DatabaseError) -> bool {
        false
    }
}

impl_executor!(SqliteManager, Sqlite);

use super::sql::{
    SqlManager, classify, expect_scheme, impl_executor, prove_clean, roll_back_known,
};
use super::{Fate, Manager};
use perf_core::Transience;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySql, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::{ConnectOptions, Connection};
use std::fmt;

/// The numbers of a shutdown, a broken connection, a statement or session that was killed, and a client
/// that was idle for too long.
const SESSION_ENDS: [u16; 11] = [
    1053, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 3169, 4031,
];

/// A manager of connections to MySQL or MariaDB.
///
/// Statements run on `&Pool<MySqlManager>` or on `&mut guard`, and there leave neither a transaction nor a
/// running statement behind however they end. Those on `&mut *guard`, the bare connection, cost a reset on
/// return: one more round trip, in the background.
///
/// The rest of the session is not reset: variables that were `SET`, temporary tables and named locks reach
/// the next holder. Whoever uses them undoes them, or ends with [`Pooled::discard`](crate::Pooled::discard).
///
/// ```no_run
/// use perf_pool::{MySqlManager, Pool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = MySqlManager::from_url("mysql://app@localhost/app")?;
/// let pool = Pool::builder(manager).max_size(10).build()?;
/// let answer: i64 = sqlx::query_scalar("SELECT 6 * 7").fetch_one(&pool).await?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MySqlManager {
    options: MySqlConnectOptions,
}

impl MySqlManager {
    /// For the database that a URL such as `mysql://user:password@host/name` names.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, or of another kind of database.
    pub fn from_url(url: &str) -> sqlx::Result<Self> {
        expect_scheme(url, &["mysql", "mariadb"])?;
        Ok(Self::with_options(url.parse()?))
    }

    /// For connections with these options.
    #[must_use]
    pub const fn with_options(options: MySqlConnectOptions) -> Self {
        Self { options }
    }
}

impl Manager for MySqlManager {
    type Resource = MySqlConnection;
    type Error = sqlx::Error;

    const CLEAN_AFTER_ACCESS: bool = false;

    async fn create(&self) -> sqlx::Result<MySqlConnection> {
        self.options.connect().await
    }

    async fn check(&self, connection: &mut MySqlConnection) -> sqlx::Result<()> {
        connection.ping().await
    }

    async fn reset(&self, connection: &mut MySqlConnection) -> sqlx::Result<Fate> {
        roll_back_known::<MySql>(connection).await?;
        prove_clean::<MySql>(connection, |nonce| format!("ROLLBACK; SELECT '{nonce}'")).await
    }

    async fn close(&self, connection: MySqlConnection) {
        let _unneeded = connection.close().await;
    }

    fn classify(&self, error: &sqlx::Error) -> Transience {
        classify(error, |error| {
            let error = error.try_downcast_ref::<MySqlDatabaseError>();
            let number = error.map(MySqlDatabaseError::number);
            number.map_or(Transience::Permanent, Transience::of_mysql_number)
        })
    }
}

impl SqlManager for MySqlManager {
    type Database = MySql;

    fn ends_session(error: &dyn DatabaseError) -> bool {
        let error = error.try_downcast_ref::<MySqlDatabaseError>();
        error.is_some_and(|error| SESSION_ENDS.contains(&error.number()))
    }
}

impl_executor!(MySqlManager, MySql);

impl fmt::Debug for MySqlManager {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlManager").finish_non_exhaustive()
    }
}

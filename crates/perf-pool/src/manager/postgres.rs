use super::sql::{
    SqlManager, classify, expect_scheme, impl_executor, prove_clean, roll_back_known,
};
use super::{Fate, Manager};
use perf_core::Transience;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSeverity, Postgres};
use sqlx::{ConnectOptions, Connection};
use std::fmt;

/// What `DISCARD ALL` does, which may not stand beside other statements, but for the prepared statements,
/// which the driver goes on using.
const CLEAN_UP: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    DISCARD TEMP; DISCARD SEQUENCES";

/// A manager of Postgres connections.
///
/// Statements run on `&Pool<PostgresManager>` or on `&mut guard`, one round trip each, and there leave
/// neither a transaction nor a running statement behind however they end. Those on `&mut *guard`, the bare
/// connection, and those that change the session, such as `SET` or `LISTEN`, cost a reset on return: one
/// more round trip, in the background. It also undoes settings, roles, advisory locks, listening, cursors
/// and temporary tables, and keeps prepared statements. Settings for all connections belong into the
/// options, to which a reset returns.
///
/// A function called by a `SELECT`, `INSERT`, `UPDATE` or `DELETE` may change the session unseen, as
/// `set_config(…, false)` and `pg_advisory_lock` do: call [`Pooled::taint`](crate::Pooled::taint) on a guard
/// where one does, or the change reaches the next holder.
///
/// ```no_run
/// use perf_pool::{Pool, PostgresManager};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = PostgresManager::from_url("postgres://app@localhost/app")?;
/// let pool = Pool::builder(manager).max_size(10).build()?;
/// let answer: i32 = sqlx::query_scalar("SELECT 6 * 7").fetch_one(&pool).await?;
/// assert_eq!(answer, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresManager {
    options: PgConnectOptions,
}

impl PostgresManager {
    /// For the database that a URL such as `postgres://user:password@host/name` names.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, or of another kind of database.
    pub fn from_url(url: &str) -> sqlx::Result<Self> {
        expect_scheme(url, &["postgres", "postgresql"])?;
        Ok(Self::with_options(url.parse()?))
    }

    /// For connections with these options.
    #[must_use]
    pub const fn with_options(options: PgConnectOptions) -> Self {
        Self { options }
    }
}

impl Manager for PostgresManager {
    type Resource = PgConnection;
    type Error = sqlx::Error;

    const CLEAN_AFTER_ACCESS: bool = false;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        self.options.connect().await
    }

    async fn check(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        connection.ping().await
    }

    async fn reset(&self, connection: &mut PgConnection) -> sqlx::Result<Fate> {
        roll_back_known::<Postgres>(connection).await?;
        // A `ROLLBACK` without a transaction makes the server warn, and the driver log it. So it is sent only
        // where there may be one that the driver does not know of: its statements have a time that is not its
        // own, and after an error it refuses them all.
        let outcome = prove_clean::<Postgres>(connection, |nonce| {
            format!(
                "{CLEAN_UP}; SELECT CASE WHEN now() = statement_timestamp() THEN '{nonce}' END, \
                 pg_advisory_unlock_all()"
            )
        });
        if matches!(outcome.await, Ok(Fate::Keep)) {
            return Ok(Fate::Keep);
        }
        prove_clean::<Postgres>(connection, |nonce| {
            format!("ROLLBACK; {CLEAN_UP}; SELECT '{nonce}', pg_advisory_unlock_all()")
        })
        .await
    }

    async fn close(&self, connection: PgConnection) {
        let _unneeded = connection.close().await;
    }

    fn classify(&self, error: &sqlx::Error) -> Transience {
        classify(error, |error| {
            let code = error.code();
            code.map_or(Transience::Permanent, |code| Transience::of_sqlstate(&code))
        })
    }
}

impl SqlManager for PostgresManager {
    type Database = Postgres;

    /// By severity, which names the end of the session whatever its cause; class 08 is a connection that
    /// broke on its way to the server.
    fn ends_session(error: &dyn DatabaseError) -> bool {
        let error = error.try_downcast_ref::<PgDatabaseError>();
        error.is_some_and(|error| {
            matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)
                || error.code().starts_with("08")
        })
    }
}

impl_executor!(PostgresManager, Postgres);

impl fmt::Debug for PostgresManager {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresManager")
            .field("host", &self.options.get_host())
            .field("database", &self.options.get_database())
            .finish_non_exhaustive()
    }
}

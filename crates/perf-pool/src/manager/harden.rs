use super::sql::roll_back_known;
use perf_core::{Clock, SystemClock};
use sqlx::database::Database;
use sqlx::pool::{PoolConnectionMetadata, PoolOptions};
use sqlx::{Connection, Executor};
use std::future::Future;
use std::io;
use std::time::Duration;

/// How long a look at a connection may take before it counts as dead.
const LIMIT: Duration = Duration::from_secs(1);
/// After how long without use a connection is looked at.
const IDLE: Duration = Duration::from_secs(1);

/// Cures what can be cured of sqlx's own pool from outside, for those who stay on it. Replaces the options'
/// `test_before_acquire`, `before_acquire` and `after_release`.
///
/// - A connection is checked after a second without use and not before each, and a peer that went silent
///   costs a second and not the whole time to acquire.
/// - A connection that comes back is rolled back first, so that a `BEGIN` that was cancelled on its way
///   reaches nobody. If that takes longer than a second, because a statement still runs or the peer is
///   silent, the connection is dropped, so that its place is not lost.
///
/// What it cannot cure: connects still end with the caller who caused them; each return costs two round
/// trips, this one and sqlx's own; idle connections are taken in turn, so that none ever rests; lifetimes end
/// without jitter; and what the session holds beyond a transaction stays. [`Pool`](crate::Pool) has none of these.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn connect() -> sqlx::Result<()> {
/// use sqlx::postgres::PgPoolOptions;
///
/// let options = perf_pool::harden(PgPoolOptions::new().max_connections(10));
/// let pool = options.connect("postgres://app@localhost/app").await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn harden<DB>(options: PoolOptions<DB>) -> PoolOptions<DB>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    options
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| Box::pin(look_if_idle::<DB>(connection, metadata)))
        .after_release(|connection, _| Box::pin(clean::<DB>(connection)))
}

async fn look_if_idle<DB: Database>(
    connection: &mut DB::Connection,
    metadata: PoolConnectionMetadata,
) -> sqlx::Result<bool> {
    if metadata.idle_for > IDLE {
        within(connection.ping()).await?;
    }
    Ok(true)
}

async fn clean<DB>(connection: &mut DB::Connection) -> sqlx::Result<bool>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    within(async {
        roll_back_known::<DB>(connection).await?;
        match sqlx::raw_sql("ROLLBACK").execute(connection).await {
            // SQLite's way to say that nothing was open.
            Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
            Err(error) => Err(error),
        }
    })
    .await?;
    Ok(true)
}

async fn within(work: impl Future<Output = sqlx::Result<()>>) -> sqlx::Result<()> {
    tokio::select! {
        biased;
        outcome = work => outcome,
        () = SystemClock.sleep(LIMIT) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}

//! The SQLite file that all chapters share.

use anyhow::{Context as _, Result};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::{Path, PathBuf};

/// The file and a pool of connections to it.
pub(crate) struct Database {
    pub path: PathBuf,
    pub pool: SqlitePool,
}

const FLIGHTS: &str = "(
    id INTEGER PRIMARY KEY, year INTEGER NOT NULL, month INTEGER NOT NULL, day INTEGER NOT NULL,
    dep_time INTEGER, sched_dep_time INTEGER NOT NULL, dep_delay INTEGER,
    arr_time INTEGER, sched_arr_time INTEGER NOT NULL, arr_delay INTEGER,
    carrier TEXT NOT NULL, flight INTEGER NOT NULL, tailnum TEXT, origin TEXT NOT NULL, dest TEXT NOT NULL,
    air_time INTEGER, distance INTEGER NOT NULL, hour INTEGER NOT NULL, minute INTEGER NOT NULL,
    time_hour TEXT NOT NULL)";

impl Database {
    /// Creates the file and its tables in `folder`.
    pub(crate) async fn create(folder: &Path) -> Result<Self> {
        let path = folder.join("flights.sqlite");
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options(&path))
            .await;
        let pool = pool.with_context(|| format!("cannot create {}", path.display()))?;
        let tables = format!(
            "CREATE TABLE flights {FLIGHTS};
             CREATE TABLE flights_row_by_row {FLIGHTS};
             CREATE TABLE planes (tailnum TEXT PRIMARY KEY, manufacturer TEXT NOT NULL,
                 model TEXT NOT NULL, seats INTEGER NOT NULL);
             CREATE TABLE airlines (carrier TEXT PRIMARY KEY, name TEXT NOT NULL);
             CREATE TABLE airports (faa TEXT PRIMARY KEY, name TEXT NOT NULL, lat REAL NOT NULL,
                 lon REAL NOT NULL, alt INTEGER NOT NULL);
             CREATE TABLE weather (origin TEXT, time_hour TEXT, temp REAL, wind_speed REAL,
                 precip REAL, visib REAL)"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(tables))
            .execute(&pool)
            .await?;
        Ok(Self { path, pool })
    }
}

/// How this program opens the file: write-ahead log, one `fsync` a checkpoint.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
}

//! A database, a row and a way to stop midway.

use perf_bulk::BulkRow;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, SqliteConnection};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A plane, as the tests' table holds it: `seats` is positive and not NULL, `tailnum` unique.
#[derive(BulkRow, Clone, Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Plane {
    pub(crate) id: i64,
    pub(crate) tailnum: Option<String>,
    pub(crate) seats: Option<i64>,
}

pub(crate) fn plane(id: i64) -> Plane {
    Plane {
        id,
        tailnum: Some(format!("N{id}")),
        seats: Some(id % 300 + 1),
    }
}

pub(crate) const PLANES: &str = "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT UNIQUE, \
     seats INTEGER NOT NULL CHECK (seats > 0))";

pub(crate) async fn memory() -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .in_memory(true)
        .connect()
        .await
        .unwrap();
    execute(&mut connection, PLANES).await;
    connection
}

/// A database in a file, which other connections can open.
pub(crate) async fn file(folder: &tempfile::TempDir) -> SqliteConnection {
    let mut connection = open(folder).await;
    execute(&mut connection, PLANES).await;
    connection
}

pub(crate) async fn open(folder: &tempfile::TempDir) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(folder.path().join("test.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(std::time::Duration::ZERO)
        .connect()
        .await
        .unwrap()
}

pub(crate) async fn execute(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::query(sql).execute(connection).await.unwrap();
}

pub(crate) async fn planes(connection: &mut SqliteConnection) -> Vec<Plane> {
    sqlx::query_as("SELECT id, tailnum, seats FROM planes ORDER BY id")
        .fetch_all(connection)
        .await
        .unwrap()
}

pub(crate) async fn ids(connection: &mut SqliteConnection) -> Vec<i64> {
    planes(connection)
        .await
        .iter()
        .map(|plane| plane.id)
        .collect()
}

/// Polls `future` at most `polls` times, then drops it; its output if it came to that. Between two
/// polls the worker threads get the time that they need to finish what they were asked for.
pub(crate) async fn poll_at_most<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let poll = {
            let mut context = Context::from_waker(Waker::noop());
            future.as_mut().poll(&mut context)
        };
        if let Poll::Ready(output) = poll {
            return Some(output);
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_micros(300)))
            .await
            .unwrap();
    }
    None
}

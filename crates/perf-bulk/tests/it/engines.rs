//! What holds on every database, each test on each.

mod ids;
mod lookup;
mod resilience;
mod sources;
mod trips;
mod writes;

use crate::support::{Plane, plane};
use perf_bulk::{BulkInsert, BulkRow};
use perf_testkit::{Database, MariaDbServer, PostgresServer};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many random cases a test runs: more under `PERF_SOAK_CASES`.
pub(crate) fn cases(default: u64) -> u64 {
    let asked = std::env::var("PERF_SOAK_CASES");
    asked.map_or(default, |cases| cases.parse().expect("a number"))
}

#[derive(BulkRow, Clone, Debug)]
pub(crate) struct Ticket {
    pub(crate) tag: i64,
}

pub(crate) struct Sqlite(tempfile::TempDir);

impl Sqlite {
    const CREATE: [&str; 3] = [
        "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT UNIQUE, \
         seats INTEGER NOT NULL CHECK (seats > 0))",
        "CREATE TABLE tickets (id INTEGER PRIMARY KEY, tag INTEGER)",
        "CREATE TABLE unnumbered (id TEXT DEFAULT 'x', tag INTEGER)",
    ];

    pub(crate) fn start() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.0.path().join("test.db"));
        let options = options
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(60));
        let options = options.journal_mode(SqliteJournalMode::Wal);
        options.connect().await.unwrap()
    }
}

pub(crate) struct Postgres(Database);

impl Postgres {
    const CREATE: [&str; 3] = [
        "CREATE TABLE planes (id bigint PRIMARY KEY, tailnum text UNIQUE, \
         seats bigint NOT NULL CHECK (seats > 0))",
        "CREATE TABLE tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tag bigint)",
        "CREATE TABLE unnumbered (id bigint DEFAULT 7, tag bigint)",
    ];

    pub(crate) fn start() -> Self {
        Self(PostgresServer::shared().unwrap().database().unwrap())
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.0.url_unix()).await.unwrap()
    }
}

pub(crate) struct MariaDb(Database);

impl MariaDb {
    const CREATE: [&str; 3] = [
        "CREATE TABLE planes (id bigint PRIMARY KEY, tailnum varchar(100) UNIQUE, \
         seats bigint NOT NULL CHECK (seats > 0))",
        "CREATE TABLE tickets (id bigint PRIMARY KEY AUTO_INCREMENT, tag bigint)",
        "CREATE TABLE unnumbered (id bigint DEFAULT 7, tag bigint)",
    ];

    pub(crate) fn start() -> Self {
        Self(MariaDbServer::shared().unwrap().database().unwrap())
    }

    pub(crate) async fn connect(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.0.url()).await.unwrap()
    }
}

/// The suites' own names for one database.
macro_rules! engine {
    ($engine:ident, $module:ident, $connection:ty, $bigint:literal) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) const BIGINT: &str = $bigint;

            pub(crate) type Conn = $connection;

            pub(crate) async fn start() -> ($engine, Conn) {
                let engine = $engine::start();
                let mut connection = engine.connect().await;
                for create in $engine::CREATE {
                    connection.execute(create).await.unwrap();
                }
                (engine, connection)
            }

            pub(crate) async fn is_stuck(connection: &mut Conn) -> bool {
                $engine::stuck(connection).await
            }

            pub(crate) async fn planes(connection: &mut Conn) -> Vec<Plane> {
                sqlx::query_as("SELECT id, tailnum, seats FROM planes ORDER BY id")
                    .fetch_all(connection)
                    .await
                    .unwrap()
            }

            /// A table of planes and a model of it.
            pub(crate) async fn filled(connection: &mut Conn) -> BTreeMap<i64, Plane> {
                let model: BTreeMap<_, _> = (0..700).map(|id| (id, plane(id))).collect();
                BulkInsert::into("planes")
                    .execute(connection, model.values())
                    .await
                    .unwrap();
                model
            }
        }
    };
}

impl Sqlite {
    async fn stuck(_connection: &mut SqliteConnection) -> bool {
        false
    }
}

impl Postgres {
    async fn stuck(_connection: &mut PgConnection) -> bool {
        false
    }
}

impl MariaDb {
    /// Whether the connection is in the transaction of a BEGIN that was dropped unanswered, which refuses writes.
    async fn stuck(connection: &mut MySqlConnection) -> bool {
        let stuck = sqlx::query_scalar("SELECT CAST(@@in_transaction AS SIGNED)");
        let stuck: i64 = stuck.fetch_one(connection).await.unwrap();
        stuck != 0
    }
}

engine!(Sqlite, sqlite, SqliteConnection, "INTEGER");
engine!(Postgres, postgres, PgConnection, "bigint");
engine!(MariaDb, mariadb, MySqlConnection, "SIGNED");

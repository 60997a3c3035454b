//! The suite for managers: ours pass, and a careless one does not.

use crate::support::{Probe, Refused, Resource, TestResult};
use perf_pool::conformance::{self, Subject};
use perf_pool::{Fate, Manager};
use std::error::Error;
use std::sync::atomic::Ordering::SeqCst;

type Used = Result<(), Box<dyn Error + Send + Sync>>;

struct Probes;

impl Subject for Probes {
    type Manager = Probe;

    fn manager(&self) -> Probe {
        let probe = Probe::default();
        probe.0.resets_keep.store(true, SeqCst);
        probe
    }

    async fn use_clean(&self, resource: &mut Resource) -> Used {
        tokio::task::yield_now().await;
        if resource.dirty {
            Err("it is dirty".into())
        } else {
            Ok(())
        }
    }

    async fn soil(&self, resource: &mut Resource) {
        resource.dirty = true;
    }
}

#[tokio::test]
async fn a_careful_manager_passes() -> TestResult {
    conformance::manager(&Probes).await
}

/// Keeps what it has not cleaned.
struct Careless(Probe);

impl Manager for Careless {
    type Resource = Resource;
    type Error = Refused;

    async fn create(&self) -> Result<Resource, Refused> {
        self.0.create().await
    }

    async fn reset(&self, _: &mut Resource) -> Result<Fate, Refused> {
        Ok(Fate::Keep)
    }
}

struct CarelessOnes;

impl Subject for CarelessOnes {
    type Manager = Careless;

    fn manager(&self) -> Careless {
        Careless(Probe::default())
    }

    async fn use_clean(&self, resource: &mut Resource) -> Used {
        Probes.use_clean(resource).await
    }

    async fn soil(&self, resource: &mut Resource) {
        resource.dirty = true;
    }
}

#[tokio::test]
#[should_panic(expected = "kept by `reset`, yet not clean")]
async fn a_careless_manager_is_found_out() {
    let _found = conformance::manager(&CarelessOnes).await;
}

/// A subject for a manager of SQL connections: an open transaction is the trace.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
macro_rules! sql_subject {
    ($name:ident, $manager:ty, $connection:ty) => {
        struct $name(String);

        impl Subject for $name {
            type Manager = $manager;

            fn manager(&self) -> $manager {
                <$manager>::from_url(&self.0).unwrap()
            }

            async fn use_clean(&self, connection: &mut $connection) -> Used {
                let nonce = format!("SELECT 'mine {}'", fastrand::u64(..));
                let sql = sqlx::AssertSqlSafe(nonce.clone());
                let answer: String = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
                if !nonce.contains(&answer) {
                    return Err(format!("{answer} answers {nonce}").into());
                }
                // SQLite refuses a second `BEGIN`; the others would have rolled the first one back.
                sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
                sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
                Ok(())
            }

            async fn soil(&self, connection: &mut $connection) {
                sqlx::raw_sql("BEGIN")
                    .execute(&mut *connection)
                    .await
                    .unwrap();
                sqlx::raw_sql("CREATE TABLE IF NOT EXISTS traces (id INTEGER)")
                    .execute(connection)
                    .await
                    .unwrap();
            }
        }
    };
}

#[cfg(feature = "sqlite")]
sql_subject!(Sqlite, perf_pool::SqliteManager, sqlx::SqliteConnection);
#[cfg(feature = "postgres")]
sql_subject!(Postgres, perf_pool::PostgresManager, sqlx::PgConnection);
#[cfg(feature = "mysql")]
sql_subject!(MariaDb, perf_pool::MySqlManager, sqlx::MySqlConnection);

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn sqlite_passes() -> TestResult {
    conformance::manager(&Sqlite("sqlite::memory:".into())).await
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_passes() -> TestResult {
    let database = perf_testkit::PostgresServer::shared()?.database()?;
    conformance::manager(&Postgres(database.url())).await
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn mariadb_passes() -> TestResult {
    let database = perf_testkit::MariaDbServer::shared()?.database()?;
    conformance::manager(&MariaDb(database.url())).await
}

#[cfg(feature = "redis")]
struct Redis;

#[cfg(feature = "redis")]
impl Subject for Redis {
    type Manager = perf_pool::RedisManager;

    fn manager(&self) -> Self::Manager {
        let server = perf_testkit::RedisServer::shared().unwrap();
        perf_pool::RedisManager::from_url(&server.url()).unwrap()
    }

    async fn use_clean(&self, connection: &mut redis::aio::MultiplexedConnection) -> Used {
        let nonce = fastrand::u64(..).to_string();
        let answer: String = redis::cmd("ECHO")
            .arg(&nonce)
            .query_async(connection)
            .await?;
        if answer == nonce {
            Ok(())
        } else {
            Err(answer.into())
        }
    }

    async fn soil(&self, connection: &mut redis::aio::MultiplexedConnection) {
        redis::cmd("MULTI").exec_async(connection).await.unwrap();
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn redis_passes() -> TestResult {
    conformance::manager(&Redis).await
}

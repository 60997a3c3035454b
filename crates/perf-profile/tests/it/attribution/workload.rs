//! Requests that run their queries in every way that sqlx offers, on each engine.

use crate::support::executions;

/// A query of three rows that names the request that runs it.
macro_rules! query {
    ($request:expr) => {
        sqlx::AssertSqlSafe(format!(
            "SELECT n AS {} FROM (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3) AS numbers",
            $request
        ))
    };
}

macro_rules! workload {
    ($engine:ident, $pool:ty) => {
        pub(crate) mod $engine {
            use futures_util::TryStreamExt;
            use perf_profile::RequestScope;
            use sqlx::Executor;
            use tracing::Instrument;

            /// Ten queries, each run in another way.
            async fn handle(pool: $pool, request: String) -> sqlx::Result<()> {
                pool.fetch_all(query!(request)).await?;
                pool.fetch_one(query!(request)).await?;
                pool.fetch_optional(query!(request)).await?;
                let mut slow = pool.fetch(query!(request));
                while slow.try_next().await?.is_some() {
                    tokio::task::yield_now().await;
                }
                drop(slow);
                let mut early = pool.fetch(query!(request));
                early.try_next().await?;
                drop(early);
                let mut transaction = pool.begin().await?;
                transaction.execute(query!(request)).await?;
                transaction.rollback().await?;
                let nested =
                    tracing::info_span!("nested").in_scope(|| tracing::info_span!("deeper"));
                pool.fetch_all(query!(request)).instrument(nested).await?;
                let (left, right) = tokio::join!(
                    pool.fetch_all(query!(request)),
                    pool.fetch_all(query!(request))
                );
                left.and(right)?;
                let child = async move { pool.fetch_all(query!(request)).await };
                tokio::spawn(child.in_current_span())
                    .await
                    .expect("the child ends")?;
                Ok(())
            }

            /// Runs so many interleaved requests, named after `prefix`.
            pub(crate) async fn run(pool: &$pool, prefix: &str, requests: usize) {
                let tasks: Vec<_> = (0..requests)
                    .map(|number| {
                        let name = format!("{prefix}_{number}");
                        tokio::spawn(RequestScope::new(&name).run(handle(pool.clone(), name)))
                    })
                    .collect();
                for task in tasks {
                    task.await
                        .expect("the request ends")
                        .expect("its queries succeed");
                }
            }
        }
    };
}

workload!(sqlite, sqlx::SqlitePool);
workload!(postgres, sqlx::PgPool);
workload!(maria_db, sqlx::MySqlPool);

pub(crate) use query;

/// How many queries of the requests named after `prefix` were attributed to theirs, and how many not.
pub(crate) fn tally(prefix: &str) -> (usize, usize) {
    let executions = executions(&format!(" AS {prefix}_"));
    let right = executions.iter().filter(|execution| {
        let named = |request: &String| execution.text.contains(&format!(" AS {request} "));
        execution.request.as_ref().is_some_and(named)
    });
    let right = right.count();
    (right, executions.len() - right)
}

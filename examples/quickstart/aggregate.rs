//! An expensive aggregate for a thousand callers.

use crate::database::Database;
use crate::report;
use anyhow::{Context as _, Result, ensure};
use perfkit::cache::Cache;
use perfkit::core::Registry;
use perfkit::profile::profile;
use sqlx::SqlitePool;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Origin, destination, flights and mean delay of one route.
pub(crate) type Routes = Arc<[(String, String, i64, f64)]>;

/// Fewer than the cached thousand, because each of them pays in full.
const UNCACHED: u32 = 100;
const CACHED: u32 = 1_000;

/// Asks for the aggregate without and with a cache, then changes the data. Returns the cache, which the registry holds
/// weakly, for the figures at the end.
pub(crate) async fn show(
    database: &Database,
    registry: &Registry,
) -> Result<Cache<&'static str, Routes>> {
    report::chapter(
        "The ten worst routes, asked for by everybody at once",
        "perf-cache",
    );
    let pool = &database.pool;
    let (plain, before) = report::timed(all(UNCACHED, || worst_routes(pool.clone()))).await;
    report::line(
        &format!("{UNCACHED} callers, each queries"),
        before,
        per_caller(before, UNCACHED),
    );

    let cache: Cache<&'static str, Routes> = Cache::builder("routes")
        .ttl(Duration::from_secs(60))
        .build()?;
    cache.register(registry);
    let ask = || {
        let (cache, pool) = (cache.clone(), pool.clone());
        async move {
            cache
                .get_or_load("worst", async || worst_routes(pool).await)
                .await
        }
    };
    let (cached, after) = report::timed(all(CACHED, ask)).await;
    report::line(
        &format!("{CACHED} callers through the cache"),
        after,
        per_caller(after, CACHED),
    );
    let loads = cache.stats().loads;
    ensure!(loads == 1, "{loads} loads where one was enough");
    ensure!(plain? == cached?, "the cached answer differs");
    report::gain(
        before / UNCACHED,
        after / CACHED,
        "1 load; all answers are equal",
    );

    sqlx::query("UPDATE flights SET arr_delay = arr_delay + 1")
        .execute(pool)
        .await?;
    cache.invalidate(&"worst").await?;
    let fresh = ask().await?;
    ensure!(
        fresh == worst_routes(pool.clone()).await?,
        "a stale answer after an invalidation"
    );
    report::note("after an update and an invalidation the next read is fresh");
    Ok(cache)
}

#[profile(crate = ::perfkit::profile)]
async fn worst_routes(pool: SqlitePool) -> sqlx::Result<Routes> {
    let query = sqlx::query_as(
        "SELECT origin, dest, count(*), avg(arr_delay) FROM flights
         GROUP BY origin, dest HAVING count(*) >= 20 ORDER BY avg(arr_delay) DESC LIMIT 10",
    );
    Ok(query.fetch_all(&pool).await?.into())
}

/// The answer that `count` concurrent callers got, which must be one and the same.
async fn all<F, E>(count: u32, ask: impl Fn() -> F) -> Result<Routes>
where
    F: Future<Output = Result<Routes, E>> + Send + 'static,
    E: Into<anyhow::Error> + Send + 'static,
{
    let callers: JoinSet<_> = (0..count).map(|_| ask()).collect();
    let answers = callers.join_all().await.into_iter();
    let answers = answers.collect::<Result<Vec<_>, E>>().map_err(Into::into)?;
    let first = answers.first().context("nobody asked")?;
    ensure!(
        answers.iter().all(|answer| answer == first),
        "the callers got different answers"
    );
    Ok(Arc::clone(first))
}

fn per_caller(elapsed: Duration, callers: u32) -> String {
    format!("{:.0?} a caller", elapsed / callers)
}

//! sqlx's own pool, with and without what cures it.

use crate::support::{TestResult, cancel_after, poll_at_most};
use perf_core::{Clock, SystemClock};
use perf_pool::harden;
use perf_testkit::proxy::Silence;
use perf_testkit::{FaultProxy, Faults, PostgresServer};
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::time::Duration;

fn proxied() -> TestResult<(FaultProxy, String)> {
    let server = PostgresServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let url = server.database()?.url_through(proxy.address());
    Ok((proxy, url))
}

/// How many of 60 transactions, whose `BEGIN` was cancelled at one poll after the other, the next holder
/// found open.
async fn left_open(pool: &PgPool) -> TestResult<u32> {
    let mut open = 0;
    for polls in (0..6).cycle().take(60) {
        drop(poll_at_most(polls, pool.begin()).await);
        let mut connection = pool.acquire().await?;
        let current = "SELECT txid_current()";
        let first: i64 = sqlx::query_scalar(current)
            .fetch_one(&mut *connection)
            .await?;
        let second: i64 = sqlx::query_scalar(current)
            .fetch_one(&mut *connection)
            .await?;
        if first == second {
            open += 1;
            sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
        }
    }
    Ok(open)
}

#[tokio::test]
async fn a_cancelled_begin_reaches_the_next_holder_only_without_it() -> TestResult {
    let (_proxy, url) = proxied()?;
    let options = || PgPoolOptions::new().max_connections(1);
    let hardened = harden(options()).connect(&url).await?;
    assert_eq!(left_open(&hardened).await?, 0);
    // The same harness finds what it looks for in a pool that has the fault.
    let plain = options().connect(&url).await?;
    let mut open = 0;
    for _ in 0..20 {
        open += left_open(&plain).await?;
        if open > 0 {
            return Ok(());
        }
    }
    panic!("1,200 cancelled transactions left none open");
}

#[tokio::test]
async fn queries_cancelled_on_a_silent_peer_cost_no_capacity() -> TestResult {
    let (proxy, url) = proxied()?;
    let pool = harden(PgPoolOptions::new().max_connections(3))
        .connect(&url)
        .await?;
    let connections = futures_util::future::join_all((0..3).map(|_| pool.acquire())).await;
    let connections = connections.into_iter().collect::<Result<Vec<_>, _>>()?;
    proxy.set(Faults::none().with_silence(Silence::Both));
    for mut connection in connections {
        let query = sqlx::query("SELECT 1").execute(&mut *connection);
        assert!(
            cancel_after(Duration::from_millis(50), query)
                .await
                .is_none()
        );
    }
    // The hooks' limits pass while the peer is silent.
    while pool.size() > 0 {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    proxy.set(Faults::none());
    let all = futures_util::future::join_all((0..3).map(|_| pool.acquire())).await;
    assert!(all.iter().all(Result::is_ok));
    Ok(())
}

/// What the hooks are for: without them the same three queries cost the pool for good.
#[tokio::test]
async fn without_it_the_capacity_never_comes_back() -> TestResult {
    let (proxy, url) = proxied()?;
    let options = PgPoolOptions::new().max_connections(3);
    let pool = options
        .acquire_timeout(Duration::from_secs(3))
        .connect(&url)
        .await?;
    let connections = futures_util::future::join_all((0..3).map(|_| pool.acquire())).await;
    let connections = connections.into_iter().collect::<Result<Vec<_>, _>>()?;
    proxy.set(Faults::none().with_silence(Silence::Both));
    for mut connection in connections {
        let query = sqlx::query("SELECT 1").execute(&mut *connection);
        assert!(
            cancel_after(Duration::from_millis(50), query)
                .await
                .is_none()
        );
    }
    let outcome = pool.acquire().await;
    assert!(
        matches!(outcome, Err(sqlx::Error::PoolTimedOut)),
        "{outcome:?}"
    );
    assert_eq!((pool.size(), pool.num_idle()), (3, 0));
    Ok(())
}

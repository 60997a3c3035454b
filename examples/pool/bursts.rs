//! How does a web service survive bursts, and what does the pool say of them?
//!
//! Requests come at a steady rate that four connections can bear, and then three times as many. Without shedding
//! everybody would wait for everybody before; with it those who are served are served soon.

use anyhow::{Result, ensure};
use perfkit::core::{Clock, SystemClock};
use perfkit::pool::{Load, Pool, PoolError, SqliteManager};
use std::time::Duration;
use tokio::task::JoinSet;

const WORK: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() -> Result<()> {
    let pool = Pool::builder(SqliteManager::from_url("sqlite::memory:")?)
        .name("requests")
        .max_size(4)
        .shed_above(Duration::from_millis(50))
        .build()?;
    let (before, start) = (pool.metrics(), SystemClock.now());

    let (served, shed) = requests(&pool, 200, Duration::from_millis(5)).await?;
    println!("steady: {served} served, {shed} turned away");
    let (served, shed) = requests(&pool, 600, Duration::from_micros(800)).await?;
    println!("burst:  {served} served, {shed} turned away");
    ensure!(served > 0, "a burst must not stop the service");

    let metrics = pool.metrics();
    println!(
        "waits of those served: median {:.1?}, p99 {:.1?}",
        metrics.wait.p50, metrics.wait.p99
    );
    let elapsed = SystemClock.now().since(start);
    let load = Load::between(&before, &metrics, elapsed);
    if let Some(advice) = load.and_then(|load| load.advise(WORK, 0.99)) {
        println!("for 99 % within {WORK:?}: {advice}");
    }
    pool.close(Duration::from_secs(1)).await?;
    Ok(())
}

/// `count` requests, one each `gap`. How many were served, and how many turned away.
async fn requests(pool: &Pool<SqliteManager>, count: u32, gap: Duration) -> Result<(u32, u32)> {
    let mut running = JoinSet::new();
    for _ in 0..count {
        running.spawn(request(pool.clone()));
        SystemClock.sleep(gap).await;
    }
    let (mut served, mut shed) = (0, 0);
    while let Some(outcome) = running.join_next().await {
        match outcome? {
            Ok(()) => served += 1,
            Err(error) if error.is_overload() => shed += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok((served, shed))
}

async fn request(pool: Pool<SqliteManager>) -> Result<(), PoolError<sqlx::Error>> {
    let _connection = pool.acquire().await?;
    // Where a service would ask its database.
    SystemClock.sleep(WORK).await;
    Ok(())
}

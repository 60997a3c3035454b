//! How does a service move from a database to its standby without losing requests?
//!
//! `suspend` makes callers wait, `invalidate_all` gives up the connections to the old server, and `resume` serves
//! everybody from the new one. Those who wait notice nothing but the pause.

use anyhow::{Result, ensure};
use perfkit::core::{Clock, SystemClock};
use perfkit::pool::{Manager, Pool};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Connects to the primary, and once that has failed to the standby.
#[derive(Clone, Default)]
struct Servers {
    primary_is_down: Arc<AtomicBool>,
}

impl Manager for Servers {
    type Resource = &'static str;
    type Error = io::Error;

    async fn create(&self) -> io::Result<&'static str> {
        SystemClock.sleep(Duration::from_millis(5)).await;
        Ok(if self.primary_is_down.load(Ordering::Relaxed) {
            "standby"
        } else {
            "primary"
        })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let servers = Servers::default();
    let pool = Pool::builder(servers.clone())
        .name("orders")
        .max_size(4)
        .build()?;
    println!("before: served by the {}", *pool.acquire().await?);

    pool.suspend();
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let pool = pool.clone();
        callers.spawn(async move { pool.acquire().await.map(|server| *server) });
    }
    while pool.status().waiting < 20 {
        tokio::task::yield_now().await;
    }
    println!("during: {}", pool.status());
    servers.primary_is_down.store(true, Ordering::Relaxed);
    pool.invalidate_all();
    pool.resume();

    let mut served = 0;
    while let Some(server) = callers.join_next().await {
        ensure!(server?? == "standby", "a caller was sent to the old server");
        served += 1;
    }
    println!("after:  all {served} who waited were served by the standby");
    pool.close(Duration::from_secs(1)).await?;
    Ok(())
}

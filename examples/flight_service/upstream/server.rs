//! The upstream itself, on a loopback port of this process.

use super::Gate;
use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use perfkit::core::{Clock as _, SystemClock};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpListener;

/// Every so many calls, it takes far too long.
const HANGS: u64 = 50;
const HANG: Duration = Duration::from_secs(2);

struct Upstream {
    calls: AtomicU64,
    /// The share of calls that fail, evenly spread.
    failures: f64,
}

/// Starts it, and tells where it listens.
pub(crate) async fn serve(failures: f64) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.context("cannot start the upstream")?;
    let address = listener.local_addr()?;
    let upstream = Upstream {
        calls: AtomicU64::new(0),
        failures,
    };
    let router = Router::new()
        .route("/gates/{flight}", get(gate))
        .with_state(Arc::new(upstream));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn gate(
    State(upstream): State<Arc<Upstream>>,
    Path(flight): Path<i64>,
) -> Result<Json<Gate>, StatusCode> {
    let call = upstream.calls.fetch_add(1, Relaxed);
    if call % HANGS == HANGS - 1 {
        SystemClock.sleep(HANG).await;
    }
    let so_far = |calls: u64| (calls as f64 * upstream.failures).floor();
    if so_far(call + 1) > so_far(call) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let pier = ["A", "B", "C"][usize::try_from(flight.rem_euclid(3)).unwrap_or(0)];
    let gate = format!("{pier}{}", flight.rem_euclid(40) + 1);
    Ok(Json(Gate { flight, gate }))
}

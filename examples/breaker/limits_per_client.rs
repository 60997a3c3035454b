//! How does an axum service limit each of its clients?
//!
//! ```sh
//! cargo run -p perfkit-examples --example limits_per_client
//! ```
//!
//! It serves on a loopback port and calls itself as two clients, as a proxy in front of it would pass them
//! on. Nothing has to be set up.

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use perf_breaker::KeyedLimiter;
use perf_breaker::http::{ClientAddress, LimitLayer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<()> {
    // Three at once, then one every twelve seconds, for a hundred thousand clients in two megabytes.
    let limiter = Arc::new(KeyedLimiter::new(&"5/minute burst 3".parse()?, 100_000)?);
    // One proxy of our own stands in front: the last entry of X-Forwarded-For is whom it has seen.
    let client = ClientAddress::of_connect_info().behind(1);
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(LimitLayer::new(Arc::clone(&limiter), client));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(call(address, "203.0.113.7").await?);
    }
    ensure!(statuses == [200, 200, 200, 429], "{statuses:?}");
    // The client claims to be somebody else; the proxy appends the truth.
    ensure!(call(address, "198.51.100.1, 203.0.113.7").await? == 429);
    ensure!(call(address, "198.51.100.1").await? == 200);

    // Somebody pays: from now on all have more, and keep what they have taken.
    limiter.change(&"60/minute burst 36".parse()?)?;
    ensure!(call(address, "198.51.100.1").await? == 200);
    server.abort();
    Ok(())
}

/// Asks as a proxy would for a client at `forwarded`, prints what was answered, and returns the status.
async fn call(address: SocketAddr, forwarded: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {forwarded}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let header = |name: &str| {
        let mut lines = answer.lines();
        lines.find_map(|line| line.strip_prefix(name).map(str::to_owned))
    };
    let status = answer.split(' ').nth(1).context("an answer has a status")?;
    println!(
        "{forwarded:<27} {status}  ratelimit{}  retry-after{}",
        header("ratelimit").unwrap_or_default(),
        header("retry-after").unwrap_or_else(|| ": -".to_owned()),
    );
    Ok(status.parse()?)
}

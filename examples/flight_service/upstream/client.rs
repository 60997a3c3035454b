//! The way there: connections that are kept, behind a guard, before a cache that has the last answer when there is
//! no new one.

use super::super::failure::Failure;
use super::Gate;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use perfkit::breaker::{Bulkhead, CircuitBreaker, Guard, Retry};
use perfkit::cache::Cache;
use perfkit::core::Registry;
use perfkit::pool::{Manager, Pool, PoolError, Pooled};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// How many calls are made at a time, and on how many connections.
const CALLS: u32 = 16;
const TIMEOUT: Duration = Duration::from_millis(250);
const LIFETIME: Duration = Duration::from_secs(5);
/// How old an answer may be when there is no other.
const LAST_RESORT: Duration = Duration::from_secs(3_600);

/// Why the upstream gave no gate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("no connection")]
    Connection(#[from] PoolError<io::Error>),
    #[error("a broken exchange")]
    Exchange(#[from] hyper::Error),
    #[error("status {0}")]
    Status(hyper::StatusCode),
    #[error("an answer that makes no sense")]
    Answer(#[from] serde_json::Error),
}

/// Asks for gates.
pub(crate) struct Gates {
    connections: Pool<Connections>,
    guard: Guard,
    breaker: CircuitBreaker,
    gates: Cache<i64, Gate>,
}

impl Gates {
    /// Asks whoever listens at `address`.
    pub(crate) fn new(address: SocketAddr, registry: &Registry) -> anyhow::Result<Self> {
        let connections = Pool::builder(Connections { address })
            .name("upstream")
            .max_size(CALLS)
            .acquire_timeout(TIMEOUT)
            .build()?;
        let breaker = CircuitBreaker::builder("upstream")
            .time_window(Duration::from_secs(10), 10)
            .open_for(Duration::from_secs(1))
            .build()?;
        let bulkhead = Bulkhead::builder("upstream", CALLS as usize)
            .queue(100)
            .build()?;
        let gates = Cache::builder("gates")
            .ttl(LIFETIME)
            .stale_if_error(LAST_RESORT)
            .rest_after_failure(Duration::from_secs(1))
            .build()?;
        connections.register(registry);
        breaker.register(registry);
        bulkhead.register(registry);
        gates.register(registry);
        let guard = Guard::builder()
            .retry(Retry::builder().attempts(3).build()?)
            .breaker(breaker.clone())
            .bulkhead(bulkhead)
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            connections,
            guard,
            breaker,
            gates,
        })
    }

    /// What decides whether the upstream is asked.
    pub(crate) const fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Where a flight is boarded, as far as anybody knows.
    pub(crate) async fn of(&self, flight: i64) -> Result<Gate, Failure> {
        let (connections, guard) = (self.connections.clone(), self.guard.clone());
        let load = async move || {
            let ask = || ask(connections.clone(), flight);
            guard.call(ask).await.map_err(Failure::from)
        };
        Ok(self.gates.get_or_load(flight, load).await?)
    }
}

async fn ask(connections: Pool<Connections>, flight: i64) -> Result<Gate, UpstreamError> {
    let mut connection = connections.acquire().await?;
    // Dropped before its answer is read to the end, the connection is of no use to others.
    Pooled::taint(&mut connection);
    let request = hyper::Request::get(format!("/gates/{flight}"))
        .header(hyper::header::HOST, "upstream")
        .body(Empty::new())
        .expect("a path of digits is valid");
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Pooled::clear_taint(&mut connection);
    if !status.is_success() {
        return Err(UpstreamError::Status(status));
    }
    Ok(serde_json::from_slice(&body)?)
}

/// Opens connections that carry one request after the other.
struct Connections {
    address: SocketAddr,
}

impl Manager for Connections {
    type Resource = SendRequest<Empty<Bytes>>;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Self::Resource> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // It ends with its sender; whoever sends is told what broke it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn check(&self, connection: &mut Self::Resource) -> io::Result<()> {
        connection.ready().await.map_err(io::Error::other)
    }

    fn is_broken(&self, connection: &mut Self::Resource) -> bool {
        connection.is_closed()
    }
}

//! HTTP/1.1 over connections that are kept.
//!
//! A stack of idle connections under a mutex that is held for a push or a pop: the connection used last
//! is used first, so a load of ten requests at a time keeps ten connections. The pools of HTTP clients do
//! more (many hosts, idle time-outs, HTTP/2) at a cost that a load test would count as the server's.

use super::Target;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::net::TcpStream;

type Connection = SendRequest<Full<Bytes>>;

/// Sends the same HTTP/1.1 request again and again, and reads each answer to its end.
///
/// An answer of status 400 or above is a failure, `"status 503"`. Connections are kept open and opened as
/// needed. Without TLS: for `https`, use an async closure around a client of your choice.
///
/// Clones share their connections and counts.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_profile::{HttpTarget, LoadTest, Stages};
/// use std::time::Duration;
///
/// let target = HttpTarget::get("http://127.0.0.1:3000/flights".parse()?)?;
/// let stages = Stages::at(500.0).hold(Duration::from_secs(30));
/// println!("{}", LoadTest::open(&stages)?.run(target).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HttpTarget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: String,
    request: Request<Full<Bytes>>,
    idle: Mutex<Vec<Connection>>,
    received: AtomicU64,
}

/// Why an HTTP request of a load test failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpTargetError {
    /// The URL has no host, or a scheme other than `http`.
    #[error("a target's URL must be http://host[:port]/…")]
    UnsupportedUrl,
    /// No connection came about.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke before the answer was complete, or what came was no HTTP.
    #[error("broken exchange: {0}")]
    Exchange(String),
    /// The answer has a status of 400 or above.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
}

impl HttpTarget {
    /// A GET request of `url`.
    ///
    /// # Errors
    ///
    /// [`HttpTargetError::UnsupportedUrl`] when the URL is relative or its scheme is not `http`.
    pub fn get(url: Uri) -> Result<Self, HttpTargetError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url;
        Self::request(request)
    }

    /// Any request to an absolute URL. A `Host` header is added.
    ///
    /// # Errors
    ///
    /// [`HttpTargetError::UnsupportedUrl`] when the URL is relative or its scheme is not `http`.
    pub fn request(request: Request<Bytes>) -> Result<Self, HttpTargetError> {
        let mut request = request.map(Full::new);
        let unsupported = || HttpTargetError::UnsupportedUrl;
        let (Some("http"), Some(authority)) =
            (request.uri().scheme_str(), request.uri().authority())
        else {
            return Err(unsupported());
        };
        let port = authority.port_u16().unwrap_or(80);
        let address = format!("{}:{port}", authority.host());
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_error| unsupported())?;
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|_error| unsupported())?;
        request.headers_mut().insert(HOST, host);
        Ok(Self {
            shared: Arc::new(Shared {
                address,
                request,
                idle: Mutex::new(Vec::new()),
                received: AtomicU64::new(0),
            }),
        })
    }

    /// How many bytes of bodies have been received.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.shared.received.load(Relaxed)
    }
}

impl Target for HttpTarget {
    type Error = HttpTargetError;

    async fn send(&self, _number: u64) -> Result<(), HttpTargetError> {
        let shared = &self.shared;
        // A server may close an idle connection at any time. Only a fresh one's failure is an answer.
        let kept = shared.idle.lock().pop();
        if let Some(mut connection) = kept
            && connection.ready().await.is_ok()
        {
            match shared.exchange(connection).await {
                Err(Broken { unsent: true, .. }) => {}
                outcome => return outcome.map_err(|broken| broken.error),
            }
        }
        let connection = shared.connect().await?;
        shared
            .exchange(connection)
            .await
            .map_err(|broken| broken.error)
    }

    async fn probe(&self) -> Result<(), HttpTargetError> {
        let connection = self.shared.connect().await?;
        self.shared.idle.lock().push(connection);
        Ok(())
    }
}

/// A failed exchange, and whether the server certainly saw nothing of the request.
struct Broken {
    error: HttpTargetError,
    unsent: bool,
}

impl Shared {
    async fn connect(&self) -> Result<Connection, HttpTargetError> {
        let refused = |error: &dyn fmt::Display| HttpTargetError::Connect(error.to_string());
        let stream = TcpStream::connect(&self.address)
            .await
            .map_err(|error| refused(&error))?;
        stream.set_nodelay(true).map_err(|error| refused(&error))?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| refused(&error))?;
        // It ends with its sender; what broke it is told to the request that it carried.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn exchange(&self, mut connection: Connection) -> Result<(), Broken> {
        let sent = connection.try_send_request(self.request.clone()).await;
        let response = sent.map_err(|mut failed| Broken {
            unsent: failed.take_message().is_some(),
            error: exchange_error(&failed.into_error()),
        })?;
        let status = response.status();
        self.read(response.into_body())
            .await
            .map_err(|error| Broken {
                error,
                unsent: false,
            })?;
        self.idle.lock().push(connection);
        if status.as_u16() >= 400 {
            let error = HttpTargetError::Status(status);
            return Err(Broken {
                error,
                unsent: false,
            });
        }
        Ok(())
    }

    async fn read(
        &self,
        mut body: impl Body<Data = Bytes, Error = hyper::Error> + Unpin,
    ) -> Result<(), HttpTargetError> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| exchange_error(&error))?;
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.received.fetch_add(length as u64, Relaxed);
        }
        Ok(())
    }
}

fn exchange_error(error: &hyper::Error) -> HttpTargetError {
    HttpTargetError::Exchange(error.to_string())
}

//! One request at a time over HTTP, each on a connection of its own.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// After this, nobody waits for an answer any more, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}", self.body);
        self
    }
}

/// A request to be sent.
pub(crate) struct Ask {
    address: SocketAddr,
    request: hyper::http::request::Builder,
    body: String,
    patience: Duration,
}

pub(crate) fn ask(address: SocketAddr, method: Method, path: &str) -> Ask {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "flights");
    Ask {
        address,
        request,
        body: String::new(),
        patience: PATIENCE,
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Ask {
    ask(address, Method::GET, path)
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn json(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE.as_str(), "application/json")
    }

    pub(crate) fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The answer; an error if there is none in time.
    pub(crate) async fn send(self) -> io::Result<Answer> {
        let (address, patience) = (self.address, self.patience);
        let request = self.request.body(Full::new(Bytes::from(self.body)));
        let exchange = async {
            let stream = TcpStream::connect(address).await?;
            let (mut sender, connection) = handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            tokio::spawn(connection);
            let response = sender.send_request(request.unwrap()).await;
            let (head, body) = response.map_err(io::Error::other)?.into_parts();
            let body = body.collect().await.map_err(io::Error::other)?;
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        tokio::time::timeout(patience, exchange).await?
    }

    pub(crate) async fn answer(self) -> Answer {
        self.send().await.unwrap()
    }
}

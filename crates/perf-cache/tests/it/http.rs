//! What the layer for HTTP promises.

mod bodies;
mod conditions;
mod failures;
mod far;
mod keys;
mod lifetimes;
mod purges;
mod sharing;

use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use perf_cache::http::{ResponseCache, ResponseCacheBuilder};
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = Full<bytes::Bytes>;

/// A service behind a cache, whose pages tell which call made them.
#[derive(Clone)]
struct Site {
    pages: ResponseCache,
    service: BoxCloneSyncService<Request<()>, Response<bytes::Bytes>, io::Error>,
    calls: Arc<AtomicU64>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Site {
    fn new(
        builder: ResponseCacheBuilder,
        handler: impl Fn(&Parts, u64) -> io::Result<Response<String>> + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let handler = Arc::new(handler);
        Self::with(builder.build()?, move |parts, call| {
            ready(handler(&parts, call).map(|response| response.map(Body::from)))
        })
    }

    /// Whose pages all carry these headers.
    fn of_headers(
        builder: ResponseCacheBuilder,
        headers: &'static [(&'static str, &'static str)],
    ) -> anyhow::Result<Self> {
        Self::new(builder, |_, call| Ok(page(call, headers)))
    }

    fn with<B, F>(
        pages: ResponseCache,
        handler: impl Fn(Parts, u64) -> F + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<Self>
    where
        B: http_body::Body<Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send>
            + Send
            + 'static,
        F: Future<Output = io::Result<Response<B>>> + Send + 'static,
    {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        let inner = service_fn(move |request: Request<()>| {
            let call = counted.fetch_add(1, Ordering::SeqCst) + 1;
            handler(request.into_parts().0, call)
        });
        let service = pages.layer(inner).and_then(async |response: Response<_>| {
            let (parts, body) = response.into_parts();
            let body: perf_cache::http::ResponseBody<B> = body;
            let whole = body.collect().await.map_err(io::Error::other)?;
            Ok(Response::from_parts(parts, whole.to_bytes()))
        });
        Ok(Self {
            pages,
            service: BoxCloneSyncService::new(service),
            calls,
        })
    }

    async fn send(&self, request: Request<()>) -> io::Result<Answer> {
        let (parts, body) = self.service.clone().call(request).await?.into_parts();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    async fn get(&self, uri: &str) -> io::Result<Answer> {
        self.get_with(uri, &[]).await
    }

    async fn get_with(&self, uri: &str, headers: &[(&'static str, &str)]) -> io::Result<Answer> {
        self.send(request(Method::GET, uri, headers)).await
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

fn request(method: Method, uri: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri.parse().unwrap();
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request
}

/// The page that a call makes.
fn page(call: u64, headers: &[(&'static str, &'static str)]) -> Response<String> {
    let mut response = Response::new(format!("page {call}"));
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

fn pages() -> ResponseCacheBuilder {
    ResponseCache::builder("pages")
}

const MINUTE: &[(&str, &str)] = &[("cache-control", "max-age=60")];

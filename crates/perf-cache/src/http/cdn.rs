use crate::CacheError;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use thiserror::Error;
use tower_service::Service;

/// A content delivery network that keeps copies of responses.
#[async_trait]
pub trait CdnPurge: fmt::Debug + Send + Sync + 'static {
    /// Makes it forget every response with at least one of these tags.
    ///
    /// # Errors
    ///
    /// When it may not have happened.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened.
    async fn purge_tags(&self, tags: &[String]) -> Result<(), PurgeError>;

    /// Makes it forget every response of this path.
    ///
    /// # Errors
    ///
    /// When it may not have happened.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have happened.
    async fn purge_path(&self, path: &str) -> Result<(), PurgeError>;
}

/// Why a purge may not have happened.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PurgeError {
    /// The cache itself failed, and the CDN was not told.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What is asked cannot be written as a request.
    #[error("no purge request can be made of it")]
    Malformed(#[source] Arc<dyn Error + Send + Sync>),
    /// The CDN could not be asked.
    #[error("the CDN could not be asked")]
    Unreachable(#[source] Arc<dyn Error + Send + Sync>),
    /// The CDN answered with an error.
    #[error("the CDN refused with {0}")]
    Refused(StatusCode),
}

impl PurgeError {
    /// Whether the same purge may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_transient(),
            Self::Malformed(_) => false,
            Self::Unreachable(_) => true,
            Self::Refused(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
        }
    }
}

/// Purges by HTTP requests, as Varnish and most CDNs understand them or can be taught to.
///
/// A path is purged by `PURGE` with that path. Tags are purged by `PURGE` of the base address, with a
/// header that names up to a hundred of them, with spaces between. The method, the header and further
/// headers can be chosen. The client is a tower service of one's own, which brings encryption, time-outs and retries.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use http::{Request, Response};
/// # let client = tower::service_fn(async |_: Request<http_body_util::Empty<bytes::Bytes>>| Ok::<_, std::io::Error>(Response::new(())));
/// use http::Method;
/// use perf_cache::http::{HttpPurge, ResponseCache};
///
/// let cdn = HttpPurge::new(client, "https://api.example.com/service/7")?
///     .method(Method::POST)
///     .tag_header("cache-tag".parse()?, ",")
///     .header("authorization".parse()?, "Bearer secret".parse()?);
/// let pages = ResponseCache::builder("pages").cdn(cdn).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpPurge<C> {
    client: C,
    base: Uri,
    method: Method,
    tag_header: HeaderName,
    separator: &'static str,
    headers: HeaderMap,
}

/// How many tags one request names: CDNs limit their number or the header's length.
const TAGS_AT_ONCE: usize = 100;

impl<C> HttpPurge<C> {
    /// Sends purges through `client` to the address `base`.
    ///
    /// # Errors
    ///
    /// [`PurgeError::Malformed`] when that is no absolute address.
    pub fn new(client: C, base: &str) -> Result<Self, PurgeError> {
        let base: Uri = base.parse().map_err(malformed)?;
        let parts = base.clone().into_parts();
        if parts.scheme.is_none() || parts.authority.is_none() {
            let problem = std::io::Error::other("the address has no scheme or no host");
            return Err(malformed(problem));
        }
        Ok(Self {
            client,
            base,
            method: Method::from_bytes(b"PURGE").map_err(malformed)?,
            tag_header: super::directives::SURROGATE_KEY,
            separator: " ",
            headers: HeaderMap::new(),
        })
    }

    /// Sends this method instead of `PURGE`.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Names tags in this header, with `separator` between, instead of `Surrogate-Key`.
    #[must_use]
    pub fn tag_header(mut self, name: HeaderName, separator: &'static str) -> Self {
        (self.tag_header, self.separator) = (name, separator);
        self
    }

    /// Sends this header, too: credentials, or a wish for a soft purge.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    fn request(&self, uri: Uri) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl<C, B> HttpPurge<C>
where
    C: Service<Request<Empty<Bytes>>, Response = Response<B>> + Clone,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn send(&self, request: Request<Empty<Bytes>>) -> Result<(), PurgeError> {
        let mut client = self.client.clone();
        let unreachable = |error: C::Error| PurgeError::Unreachable(Arc::from(error.into()));
        let ready = poll_fn(|context| client.poll_ready(context)).await;
        ready.map_err(unreachable)?;
        let status = client.call(request).await.map_err(unreachable)?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(PurgeError::Refused(status))
        }
    }
}

#[async_trait]
impl<C, B> CdnPurge for HttpPurge<C>
where
    C: Service<Request<Empty<Bytes>>, Response = Response<B>, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    C::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Send,
{
    async fn purge_tags(&self, tags: &[String]) -> Result<(), PurgeError> {
        for tags in tags.chunks(TAGS_AT_ONCE) {
            let names = HeaderValue::try_from(tags.join(self.separator)).map_err(malformed)?;
            let mut request = self.request(self.base.clone());
            request.headers_mut().insert(self.tag_header.clone(), names);
            self.send(request).await?;
        }
        Ok(())
    }

    async fn purge_path(&self, path: &str) -> Result<(), PurgeError> {
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(malformed)?);
        let uri = Uri::from_parts(parts).map_err(malformed)?;
        self.send(self.request(uri)).await
    }
}

fn malformed(error: impl Error + Send + Sync + 'static) -> PurgeError {
    PurgeError::Malformed(Arc::new(error))
}

impl<C> fmt::Debug for HttpPurge<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the headers: they may hold credentials.
        f.debug_struct("HttpPurge")
            .field("base", &self.base)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

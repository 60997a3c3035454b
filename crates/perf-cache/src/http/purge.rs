use super::builder::ResponseCacheBuilder;
use super::cdn::{CdnPurge, PurgeError};
use super::key::{ResponseKey, variant};
use super::rules::{Asked, Rules};
use super::stored::{Kept, Stored};
use crate::store::StoreInfo;
use crate::{Cache, CacheError, CacheStats, Receipt};
use http::HeaderMap;
use perf_core::Registry;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// A cache of responses, and a tower layer that puts it before a service. Clones share it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use perf_cache::http::ResponseCache;
/// use std::convert::Infallible;
/// use tower::{Layer, Service, service_fn};
///
/// let pages = ResponseCache::builder("pages").build()?;
/// let mut service = pages.layer(service_fn(async |request: Request<()>| {
///     let page = Full::from(format!("this is {}", request.uri().path()));
///     Response::builder()
///         .header("cache-control", "max-age=60")
///         .header("surrogate-key", "articles article-7")
///         .body(page)
/// }));
/// for _ in 0..3 {
///     let response = service.call(Request::get("/articles/7").body(())?).await?;
///     let page = response.into_body().collect().await?.to_bytes();
///     assert_eq!(page, "this is /articles/7");
/// }
/// assert_eq!(pages.stats().loads, 1);
///
/// pages.purge_tag("article-7").await?;
/// service.call(Request::get("/articles/7").body(())?).await?;
/// assert_eq!(pages.stats().loads, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ResponseCache {
    pub(super) core: Arc<Core>,
}

/// What all services behind one cache share.
pub(super) struct Core {
    pub(super) cache: Cache<ResponseKey, Arc<Kept>>,
    pub(super) rules: Rules,
    pub(super) cdn: Option<Arc<dyn CdnPurge>>,
}

impl ResponseCache {
    /// Begins a cache. Its name tells its figures, and its keys in a far store, from those of others.
    pub fn builder(name: impl Into<Cow<'static, str>>) -> ResponseCacheBuilder {
        ResponseCacheBuilder::new(name.into())
    }

    /// Forgets every response with this tag: one of its `Surrogate-Key`, one that
    /// [`tags`](ResponseCacheBuilder::tags) named, or its path. Then tells the CDN, if there is one.
    ///
    /// # Errors
    ///
    /// As [`purge_tags`](Self::purge_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`purge_tags`](Self::purge_tags).
    pub async fn purge_tag(&self, tag: &str) -> Result<(), PurgeError> {
        self.purge_tags([tag]).await
    }

    /// Forgets every response with at least one of these tags. Then tells the CDN, if there is one: in
    /// this order, or it might fetch here what was just purged there.
    ///
    /// # Errors
    ///
    /// Those of [`Cache::invalidate_tags`], before the CDN is told; then the CDN's. All may be repeated.
    ///
    /// # Cancel safety
    ///
    /// Some of it may have happened.
    pub async fn purge_tags<I>(&self, tags: I) -> Result<(), PurgeError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let tags: Vec<String> = tags
            .into_iter()
            .map(|tag| tag.as_ref().to_owned())
            .collect();
        self.core.cache.invalidate_tags(&tags).await?;
        match &self.core.cdn {
            Some(cdn) if !tags.is_empty() => cdn.purge_tags(&tags).await,
            _ => Ok(()),
        }
    }

    /// Forgets every response of this path: of all hosts, queries, users and variants. Then tells the
    /// CDN, if there is one.
    ///
    /// A request by which the service changes something (`POST`, `PUT`, `PATCH`, `DELETE`) does the first
    /// by itself, for its own path, when it was not refused.
    ///
    /// # Errors
    ///
    /// As [`purge_tags`](Self::purge_tags).
    ///
    /// # Cancel safety
    ///
    /// As [`purge_tags`](Self::purge_tags).
    pub async fn purge_path(&self, path: &str) -> Result<(), PurgeError> {
        self.core.cache.invalidate_tag(path).await?;
        match &self.core.cdn {
            Some(cdn) => cdn.purge_path(path).await,
            None => Ok(()),
        }
    }

    /// Forgets all responses. The CDN is not told.
    ///
    /// # Errors
    ///
    /// As [`Cache::clear`].
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::clear`].
    pub async fn clear(&self) -> Result<Receipt, CacheError> {
        self.core.cache.clear().await
    }

    /// The cache's figures. A load is a call to the service that others may share.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.core.cache.stats()
    }

    /// What the far store tells of itself; `None` without one.
    ///
    /// # Errors
    ///
    /// As [`Cache::backend_info`].
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn backend_info(&self) -> Result<Option<StoreInfo>, CacheError> {
        self.core.cache.backend_info().await
    }

    /// Shows the cache in `registry` for as long as a handle or a service of it lives.
    pub fn register(&self, registry: &Registry) {
        self.core.cache.register(registry);
    }
}

impl Core {
    /// What is near and fresh for a request with these headers.
    pub(super) fn near(&self, asked: &Asked, headers: &HeaderMap) -> Option<Arc<Kept>> {
        let kept = self.admitted(&asked.key)?;
        let Some(stored) = kept.stored().filter(|stored| !stored.suits(headers)) else {
            return Some(kept);
        };
        let key = asked.key.with_variant(&variant(&stored.varies, headers));
        self.admitted(&key)
            .filter(|kept| kept.stored().is_none_or(|stored| stored.suits(headers)))
    }

    fn admitted(&self, key: &ResponseKey) -> Option<Arc<Kept>> {
        let kept = self.cache.near(key)?;
        let is_admitted = kept.stored().is_none_or(|stored| self.admits(stored));
        if !is_admitted {
            self.forget(key);
        }
        is_admitted.then_some(kept)
    }

    /// What is near, fresh or not, and not in doubt.
    pub(super) fn kept(&self, key: &ResponseKey) -> Option<Arc<Kept>> {
        let (entry, is_doubted) = self.cache.shared.near.kept(key)?;
        let kept = entry.into_value();
        let is_admitted = kept.stored().is_none_or(|stored| self.admits(stored));
        (is_admitted && !is_doubted).then_some(kept)
    }

    /// Whether no tag of a response was purged since it was asked for.
    pub(super) fn admits(&self, stored: &Stored) -> bool {
        let fence = &self.cache.shared.near.fence;
        stored.seal.as_ref().is_none_or(|seal| {
            seal.slots
                .iter()
                .all(|slots| fence.admits_load(seal.stamp, *slots))
        })
    }

    /// Forgets what a purge has reached. That costs a load if a new response came between.
    pub(super) fn forget(&self, key: &ResponseKey) {
        drop(self.cache.shared.near.remove(key));
    }

    pub(super) fn now(&self) -> SystemTime {
        self.cache.shared.settings.time.wall()
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache")
            .field("cache", &self.cache)
            .field("cdn", &self.cdn)
            .finish_non_exhaustive()
    }
}

use super::cdn::CdnPurge;
use super::key::{Query, ResponseKey};
use super::purge::{Core, ResponseCache};
use super::rules::{Keep, Rules};
use super::stored::Kept;
use crate::backplane::Backplane;
use crate::store::{Pattern, RemoteStore};
use crate::{CacheBuilder, CacheError, Coherence, FarTier};
use http::request::Parts;
use perf_core::Clock;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`ResponseCache`].
///
/// | setting | default |
/// |---|---|
/// | responses | with a status of 200 to 299 |
/// | time to live | what the response says; none if it says nothing |
/// | stale responses | what the response says |
/// | all bodies | 64 MiB |
/// | one body | 1 MiB |
/// | key | host, path, whole query |
/// | a call may take | 30 s |
#[must_use]
pub struct ResponseCacheBuilder {
    cache: CacheBuilder<ResponseKey, Arc<Kept>>,
    rules: Rules,
    max_bytes: u64,
    pass_for: Duration,
    timeout: Duration,
    cdn: Option<Arc<dyn CdnPurge>>,
}

impl ResponseCacheBuilder {
    pub(super) fn new(name: Cow<'static, str>) -> Self {
        Self {
            cache: CacheBuilder::new(name).jitter(0.0),
            rules: Rules {
                keep: Keep::Success,
                query: Query::All,
                scope: None,
                tags: None,
                is_per_host: true,
                heeds_reloads: true,
                ttl: None,
                revalidate: Duration::ZERO,
                error: Duration::ZERO,
                max_body: 1 << 20,
                is_far: false,
            },
            max_bytes: 64 << 20,
            pass_for: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            cdn: None,
        }
    }

    /// Which responses are worth keeping, of those that may be kept at all.
    pub fn keep(mut self, keep: Keep) -> Self {
        self.rules.keep = keep;
        self
    }

    /// How long a response is fresh that has none of `Cache-Control`, `Expires` and `Pragma`. In whole
    /// seconds, as the rules count.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.rules.ttl = Some(ttl);
        self
    }

    /// How long beyond its time to live a response is served while it is fetched anew, if it does not say
    /// so itself.
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.rules.revalidate = window;
        self
    }

    /// How long beyond its time to live a response is served when the service fails or answers with a
    /// status of 500 or more, if it does not say so itself.
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.rules.error = window;
        self
    }

    /// Tells responses apart by these parameters of the query alone. `*` in a name stands for any text.
    pub fn query_only<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.rules.query = Query::Only(names.into_iter().map(Pattern::new).collect());
        self
    }

    /// Tells responses apart by all parameters of the query but these. `*` in a name stands for any text.
    pub fn query_except<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.rules.query = Query::Except(names.into_iter().map(Pattern::new).collect());
        self
    }

    /// Serves all hosts from the same responses.
    pub const fn any_host(mut self) -> Self {
        self.rules.is_per_host = false;
        self
    }

    /// Whose response it is: users see their own alone, `private` ones and those to requests with
    /// `Authorization` included. `None` is everybody's.
    ///
    /// The closure must be sure of the user: take what an authentication layer before this one has put
    /// into the request's extensions, and not what a client wrote into a header.
    pub fn scope(
        mut self,
        scope: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.rules.scope = Some(Arc::new(scope));
        self
    }

    /// Up to two tags that a request's response has, for [`purge_tag`](ResponseCache::purge_tag).
    ///
    /// Without a far tier, `Surrogate-Key` is enough. With one, a response that names tags in
    /// `Surrogate-Key` is kept only if they are among these: a tag that nobody knew when the response was
    /// asked for may have been purged by another process since. A request with more than two is passed on.
    pub fn tags(mut self, tags: impl Fn(&Parts) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.rules.tags = Some(Arc::new(tags));
        self
    }

    /// Answers from the cache even where the client asks for a fresh response (`no-cache`, `max-age`).
    pub const fn ignore_reloads(mut self) -> Self {
        self.rules.heeds_reloads = false;
        self
    }

    /// The most bytes that all responses may take near, keys and headers included.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The longest body that is kept, in bytes. A longer one is streamed on.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.rules.max_body = bytes;
        self
    }

    /// How long requests do not wait for each other after a response to one of them could not be shared.
    /// Default: 5 s.
    pub const fn pass_for(mut self, pause: Duration) -> Self {
        self.pass_for = pause;
        self
    }

    /// How long a call to the service may take that others may share, its body included. Then the clients
    /// are told 504.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Shares responses among processes through `store`, and keeps them near for `near_ttl` at most: for
    /// so long another process may serve what was purged here, unless it hears of it by
    /// [`coherence`](Self::coherence).
    pub fn far(mut self, store: impl RemoteStore, near_ttl: Duration) -> Self {
        self.cache = self.cache.far(FarTier::new(store).near_ttl(near_ttl));
        self.rules.is_far = true;
        self
    }

    /// Hears by `plane` what other processes purge, and tells them. Where word may have been lost, what is
    /// near is served again when the far store has confirmed it: what another process has purged is served here
    /// no longer than twice the `window`. The cache is then built within a tokio runtime. More is said at
    /// [`Coherence`].
    pub fn coherence(mut self, plane: impl Backplane, window: Duration) -> Self {
        self.cache = self.cache.coherence(Coherence::new(plane).window(window));
        self
    }

    /// Purges this CDN as well.
    pub fn cdn(mut self, cdn: impl CdnPurge) -> Self {
        self.cdn = Some(Arc::new(cdn));
        self
    }

    /// Tells time by `clock`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.cache = self.cache.clock(clock);
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    ///
    /// [`CacheError::Setting`] names a setting without meaning.
    pub fn build(self) -> Result<ResponseCache, CacheError> {
        self.validate()?;
        let pass_for = self.pass_for;
        let cache = self
            .cache
            .load_timeout(self.timeout)
            .max_weight(self.max_bytes, weight)
            .ttl_by(move |_: &ResponseKey, kept: &Arc<Kept>| {
                let stored = kept.stored();
                Some(stored.map_or(pass_for, |stored| stored.terms.fresh_for))
            });
        let core = Core {
            cache: cache.build()?,
            rules: self.rules,
            cdn: self.cdn,
        };
        Ok(ResponseCache {
            core: Arc::new(core),
        })
    }

    fn validate(&self) -> Result<(), CacheError> {
        let zero = "must be greater than zero";
        let whole = "must be at least a second";
        let checks = [
            (self.max_bytes == 0, "max_bytes", zero),
            (self.rules.max_body == 0, "max_body", zero),
            (self.timeout.is_zero(), "timeout", zero),
            (
                self.rules.ttl.is_some_and(|ttl| ttl.as_secs() == 0),
                "ttl",
                whole,
            ),
        ];
        let failed = checks.into_iter().find(|(fails, ..)| *fails);
        failed.map_or(Ok(()), |(_, setting, problem)| {
            Err(CacheError::Setting { setting, problem })
        })
    }
}

/// What a response takes near, in bytes.
fn weight(key: &ResponseKey, kept: &Arc<Kept>) -> u64 {
    let of_headers = |headers: &http::HeaderMap| -> usize {
        let lengths = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        lengths.sum()
    };
    let stored = kept.stored();
    let bytes = stored.map_or(0, |stored| {
        stored.body.len() + of_headers(&stored.headers) + stored.variant.len() + size_of_val(stored)
    });
    u64::try_from(key.len() + bytes).unwrap_or(u64::MAX)
}

impl fmt::Debug for ResponseCacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCacheBuilder")
            .field("cache", &self.cache)
            .field("keep", &self.rules.keep)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

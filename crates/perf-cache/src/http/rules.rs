//! What may be kept, for how long, and who may have it: the rules of RFC 9111 with this cache's own.

use super::directives::{self, cache_control, has, seconds, surrogate_keys};
use super::key::{Query, ResponseKey};
use super::stored::{Stored, Terms};
use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, EXPIRES, HOST, HeaderName, HeaderValue,
    IF_MATCH, IF_UNMODIFIED_SINCE, PRAGMA, RANGE, SET_COOKIE, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode, Uri, request, response};
use http_cache_semantics::{CacheOptions, CachePolicy, RequestLike, ResponseLike};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Which responses are worth keeping, of those that may be kept at all.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Keep {
    /// Those with a status of 200 to 299.
    #[default]
    Success,
    /// Those of any status that RFC 9111 lets a cache keep: redirections, 404 and 410 among them.
    All,
    /// Those for which it says so, looking at the request and the response.
    When(KeepWhen),
}

/// A choice among responses.
pub type KeepWhen = Arc<dyn Fn(&request::Parts, &response::Parts) -> bool + Send + Sync>;

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "Success",
            Self::All => "All",
            Self::When(_) => "When",
        })
    }
}

pub(super) type ScopeOf = Arc<dyn Fn(&request::Parts) -> Option<String> + Send + Sync>;
pub(super) type TagsOf = Arc<dyn Fn(&request::Parts) -> Vec<String> + Send + Sync>;

/// What the builder decided.
pub(super) struct Rules {
    pub(super) keep: Keep,
    pub(super) query: Query,
    pub(super) scope: Option<ScopeOf>,
    pub(super) tags: Option<TagsOf>,
    pub(super) is_per_host: bool,
    pub(super) heeds_reloads: bool,
    /// For responses that say nothing.
    pub(super) ttl: Option<Duration>,
    pub(super) revalidate: Duration,
    pub(super) error: Duration,
    pub(super) max_body: usize,
    /// Whether processes share what is kept.
    pub(super) is_far: bool,
}

/// What the cache does about a request.
pub(super) enum Reading {
    /// It may have an answer.
    Asked(Asked),
    /// Nothing.
    Bypass,
    /// It forgets what it has of this path, if the service does as it is told.
    Change,
}

/// What the cache is asked for.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) key: ResponseKey,
    /// Of the path, and those that the request names.
    pub(super) tags: Arc<[Box<str>]>,
    is_scoped: bool,
}

impl Rules {
    pub(super) fn read(&self, parts: &request::Parts) -> Reading {
        if !parts.method.is_safe() {
            return Reading::Change;
        }
        let headers = &parts.headers;
        let is_plain = [Method::GET, Method::HEAD].contains(&parts.method)
            && !BEYOND_US.iter().any(|name| headers.contains_key(name));
        let scope = self.scope.as_ref().and_then(|scope| scope(parts));
        let is_owned = headers.contains_key(AUTHORIZATION) && scope.is_none();
        if !is_plain || is_owned || self.is_declined(headers) {
            return Reading::Bypass;
        }
        let authority = parts.uri.authority().map(http::uri::Authority::as_str);
        let host = authority.or_else(|| headers.get(HOST)?.to_str().ok());
        let host = host.filter(|_| self.is_per_host).unwrap_or_default();
        let key = ResponseKey::new(parts, host, &self.query, scope.as_deref());
        let named = self.tags.iter().flat_map(|tags| tags(parts));
        let tags =
            std::iter::once(parts.uri.path().into()).chain(named.map(String::into_boxed_str));
        Reading::Asked(Asked {
            key,
            tags: tags.collect(),
            is_scoped: scope.is_some(),
        })
    }

    /// Whether the client wants nothing of a cache.
    fn is_declined(&self, headers: &HeaderMap) -> bool {
        let control = cache_control(headers).unwrap_or_default();
        let pragma = headers.get(PRAGMA).filter(|_| control.is_empty());
        has(&control, "no-store")
            || self.heeds_reloads
                && (has(&control, "no-cache") || pragma.is_some_and(|pragma| pragma == "no-cache"))
    }

    /// Whether the client is content with a fresh response as old as this one.
    pub(super) fn satisfies(
        &self,
        stored: &Stored,
        asked: &Asked,
        headers: &HeaderMap,
        now: SystemTime,
    ) -> bool {
        if !self.heeds_reloads || !headers.contains_key(CACHE_CONTROL) {
            return true;
        }
        let question = Question::with(cache_control(headers));
        let policy = self.policy(asked, stored.status, &stored.headers, stored.received);
        policy.is_some_and(|policy| {
            policy
                .before_request(&question, now)
                .satisfies_without_revalidation()
        })
    }

    /// For how long a response may be kept, if it may.
    pub(super) fn judge(
        &self,
        asked: &Asked,
        request: &request::Parts,
        response: &response::Parts,
        now: SystemTime,
    ) -> Option<Terms> {
        let headers = &response.headers;
        let is_wanted = match &self.keep {
            Keep::Success => response.status.is_success(),
            Keep::All => true,
            Keep::When(is_wanted) => is_wanted(request, response),
        };
        if !is_wanted || headers.contains_key(SET_COOKIE) || is_endless(headers) {
            return None;
        }
        // Behind a far tier, a tag counts only if it was known before the response was asked for.
        let is_known = |tag| !self.is_far || asked.tags.contains(tag);
        if !surrogate_keys(headers).iter().all(is_known) {
            return None;
        }
        let policy = self.policy(asked, response.status, headers, now)?;
        let fresh_for = policy.time_to_live(now);
        if !policy.is_storable() || fresh_for.is_zero() {
            return None;
        }
        Some(self.terms(&cache_control(headers)?, fresh_for))
    }

    fn terms(&self, control: &str, fresh_for: Duration) -> Terms {
        let is_strict = ["must-revalidate", "proxy-revalidate"]
            .iter()
            .any(|name| has(control, name));
        // A lifetime for shared caches asks for no stale response, unless it says so itself.
        let is_shared = has(control, "s-maxage");
        let window = |name, default: Duration| {
            let default = if is_shared { Duration::ZERO } else { default };
            let window = seconds(control, name).unwrap_or(default);
            if is_strict { Duration::ZERO } else { window }
        };
        Terms {
            fresh_for,
            revalidate: window("stale-while-revalidate", self.revalidate),
            error: window("stale-if-error", self.error),
        }
    }

    /// What the rules say of a response that came at `received`.
    fn policy(
        &self,
        asked: &Asked,
        status: StatusCode,
        headers: &HeaderMap,
        received: SystemTime,
    ) -> Option<CachePolicy> {
        let mut telling = HeaderMap::new();
        for name in [AGE, DATE, EXPIRES, PRAGMA] {
            if let Some(value) = headers.get(&name) {
                telling.insert(name, value.clone());
            }
        }
        let control = match self.ttl {
            Some(ttl) if directives::says_nothing(headers) => format!("max-age={}", ttl.as_secs()),
            _ => cache_control(headers)?,
        };
        if !control.is_empty() {
            telling.insert(CACHE_CONTROL, HeaderValue::try_from(control).ok()?);
        }
        let options = CacheOptions {
            shared: !asked.is_scoped,
            // What does not say for how long it is good is kept for `ttl` or not at all.
            cache_heuristic: 0.0,
            ..CacheOptions::default()
        };
        let answer = Answer { status, telling };
        let question = Question::with(None);
        Some(CachePolicy::new_options(
            &question, &answer, received, options,
        ))
    }
}

/// Whether the body never ends, by design.
fn is_endless(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// A request as the rules see it: what it is for is the key's affair.
struct Question {
    telling: HeaderMap,
}

impl Question {
    fn with(control: Option<String>) -> Self {
        let control = control.and_then(|control| HeaderValue::try_from(control).ok());
        let control = control.map(|control| (CACHE_CONTROL, control));
        Self {
            telling: control.into_iter().collect::<HeaderMap>(),
        }
    }
}

impl RequestLike for Question {
    fn uri(&self) -> Uri {
        Uri::from_static("/")
    }

    fn is_same_uri(&self, _: &Uri) -> bool {
        true
    }

    fn method(&self) -> &Method {
        &Method::GET
    }

    fn headers(&self) -> &HeaderMap {
        &self.telling
    }
}

/// A response as the rules see it.
struct Answer {
    status: StatusCode,
    telling: HeaderMap,
}

impl ResponseLike for Answer {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn headers(&self) -> &HeaderMap {
        &self.telling
    }
}

/// Headers of requests that a whole response does not answer.
const BEYOND_US: [HeaderName; 4] = [IF_MATCH, IF_UNMODIFIED_SINCE, RANGE, UPGRADE];

/// Headers of one connection, which are none of the response's.
pub(super) const OF_THE_CONNECTION: [HeaderName; 4] = [
    http::header::CONNECTION,
    http::header::TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
];

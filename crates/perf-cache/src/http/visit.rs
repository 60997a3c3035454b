//! A request on its way through the cache.

use super::answer::{Origin, answer, apology, is_complete, prepare};
use super::body::ResponseBody;
use super::directives::{surrogate_keys, varies};
use super::errand::{Errand, Outcome};
use super::key::{ResponseKey, variant};
use super::purge::Core;
use super::rules::{Asked, OF_THE_CONNECTION};
use super::stored::{Kept, Seal, Stored, Terms};
use crate::fence::Stamp;
use crate::tags::{MAX_TAGS, Slots};
use crate::{EntryPolicy, LoadError, Lookup, Source};
use bytes::Bytes;
use http::header::{
    AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, request, response};
use http_body::Body;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tower_service::Service;

/// How often a request is asked again, because the answer was another variant's or was purged.
const ATTEMPTS: usize = 4;

/// The service did not give what could be kept; what it gave is with the errand.
#[derive(Debug, Error)]
#[error("the service failed")]
pub(super) struct Failed;

/// A request that no near response answers.
pub(super) struct Visit<S, R, B: Body, E> {
    pub(super) core: Arc<Core>,
    pub(super) service: S,
    pub(super) asked: Asked,
    pub(super) parts: request::Parts,
    pub(super) errand: Arc<Errand<R, B, E>>,
}

enum Next<B: Body, E> {
    Done(Outcome<B, E>),
    /// Ask again, under this key.
    Again(ResponseKey),
    /// Ask the service, for this client alone.
    Forward,
}

impl<S, R, B> Visit<S, R, B, S::Error>
where
    S: Service<Request<R>, Response = Response<B>, Future: Send, Error: Send>
        + Clone
        + Send
        + 'static,
    R: Send + 'static,
    B: Body<Error: Send> + Send + 'static,
{
    pub(super) async fn respond(self) -> Outcome<B, S::Error> {
        // The answer to HEAD is not the one to keep.
        if self.parts.method == Method::HEAD {
            return self.forward().await;
        }
        let mut key = self.asked.key.clone();
        if let Some(stored) = self.core.kept(&key).as_deref().and_then(Kept::stored)
            && !stored.suits(&self.parts.headers)
        {
            key = self.variant_key(stored);
        }
        for _ in 0..ATTEMPTS {
            let stale = self.core.kept(&key);
            let policy = self.policy(stale.as_deref());
            let fetch = self.fetch(stale);
            let cache = &self.core.cache;
            let found = cache
                .lookup_or_load(key.clone(), policy, || fetch.run())
                .await;
            match self.conclude(found, &key) {
                Next::Done(outcome) => return outcome,
                Next::Again(next) => key = next,
                Next::Forward => break,
            }
        }
        self.forward().await
    }

    fn policy(&self, stale: Option<&Kept>) -> EntryPolicy {
        let stale = stale.and_then(|kept| kept.suited(&self.parts.headers));
        let window =
            |of: fn(&Terms) -> Duration| stale.map_or(Duration::ZERO, |stale| of(&stale.terms));
        let policy = EntryPolicy::new()
            .stale_while_revalidate(window(|terms| terms.revalidate))
            .stale_if_error(window(|terms| terms.error));
        self.asked.tags.iter().fold(policy, EntryPolicy::tag)
    }

    fn fetch(&self, stale: Option<Arc<Kept>>) -> Fetch<S, R, B, S::Error> {
        Fetch {
            core: Arc::clone(&self.core),
            service: self.service.clone(),
            asked: self.asked.clone(),
            parts: self.parts.clone(),
            errand: Arc::clone(&self.errand),
            stale,
        }
    }

    fn conclude(
        &self,
        found: Result<Lookup<Arc<Kept>>, LoadError<Failed>>,
        key: &ResponseKey,
    ) -> Next<B, S::Error> {
        let status = match found {
            Ok(lookup) => return self.accept(&lookup, key),
            Err(LoadError::Loader(_) | LoadError::Cache(_)) => None,
            Err(LoadError::TimedOut) => Some(StatusCode::GATEWAY_TIMEOUT),
            Err(LoadError::Aborted) => Some(StatusCode::SERVICE_UNAVAILABLE),
            Err(LoadError::Panicked) => Some(StatusCode::INTERNAL_SERVER_ERROR),
        };
        match (self.errand.outcome(), status) {
            (Some(outcome), _) => Next::Done(outcome),
            (None, Some(status)) => Next::Done(Ok(apology(status))),
            (None, None) => Next::Forward,
        }
    }

    fn accept(&self, lookup: &Lookup<Arc<Kept>>, key: &ResponseKey) -> Next<B, S::Error> {
        if lookup.source != Source::Stale
            && let Some(outcome) = self.errand.outcome()
        {
            return Next::Done(outcome);
        }
        let Some(stored) = lookup.value.stored() else {
            return Next::Forward;
        };
        let headers = &self.parts.headers;
        if !stored.suits(headers) {
            let is_variant = *key != self.asked.key;
            return if is_variant {
                Next::Forward
            } else {
                Next::Again(self.variant_key(stored))
            };
        }
        let has_led = self.errand.has_led();
        // Who has asked before a purge may have what the purge overtook; who joined them later may not.
        if !has_led && !self.core.admits(stored) {
            self.core.forget(key);
            return Next::Again(key.clone());
        }
        let origin = match lookup.source {
            Source::Stale => Origin::Stale,
            Source::Near | Source::Far => Origin::Hit,
            Source::Loaded if has_led => Origin::Fetched,
            Source::Loaded => Origin::Shared,
        };
        Next::Done(Ok(answer(stored, headers, false, origin, self.core.now())))
    }

    fn variant_key(&self, stored: &Stored) -> ResponseKey {
        let variant = variant(&stored.varies, &self.parts.headers);
        self.asked.key.with_variant(&variant)
    }

    async fn forward(self) -> Outcome<B, S::Error> {
        match self.errand.request() {
            Some(request) => forward(self.service, request, Some(Origin::Passed)).await,
            // Its call came to nothing and left no answer.
            None => Ok(apology(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }
}

/// Asks the service, for one client alone.
pub(super) async fn forward<S, R, B>(
    mut service: S,
    request: Request<R>,
    origin: Option<Origin>,
) -> Outcome<B, S::Error>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: Body,
{
    poll_fn(|context| service.poll_ready(context)).await?;
    let response = service.call(request).await?;
    let mut response = response.map(ResponseBody::passed);
    if let Some(origin) = origin {
        origin.tell(response.headers_mut());
    }
    Ok(response)
}

/// The load: one call to the service, for all who wait.
struct Fetch<S, R, B: Body, E> {
    core: Arc<Core>,
    service: S,
    asked: Asked,
    parts: request::Parts,
    errand: Arc<Errand<R, B, E>>,
    stale: Option<Arc<Kept>>,
}

impl<S, R, B> Fetch<S, R, B, S::Error>
where
    S: Service<Request<R>, Response = Response<B>, Future: Send, Error: Send>
        + Clone
        + Send
        + 'static,
    R: Send + 'static,
    B: Body<Error: Send> + Send + 'static,
{
    async fn run(mut self) -> Result<Arc<Kept>, Failed> {
        let stamp = self.core.cache.shared.near.stamp();
        let mut request = self.errand.lead().ok_or(Failed)?;
        let stale = self.stale.take();
        let stale = stale
            .as_deref()
            .and_then(|kept| kept.suited(&self.parts.headers));
        ask_whole(request.headers_mut(), stale);
        let service = &mut self.service;
        let called = async {
            poll_fn(|context| service.poll_ready(context)).await?;
            service.call(request).await
        };
        let (parts, body) = match called.await {
            Ok(response) => response.into_parts(),
            Err(error) => {
                self.errand.leave(Err(error));
                return Err(Failed);
            }
        };
        if parts.status.is_server_error() {
            self.leave(parts, ResponseBody::passed(body));
            return Err(Failed);
        }
        match stale.filter(|_| parts.status == StatusCode::NOT_MODIFIED) {
            Some(stale) => Ok(self.confirm(parts, stale, stamp)),
            None => Ok(self.receive(parts, body, stamp).await),
        }
    }

    /// Reads a response and keeps it, if it may.
    async fn receive(self, parts: response::Parts, body: B, stamp: Stamp) -> Arc<Kept> {
        let now = self.core.now();
        let terms = self.core.rules.judge(&self.asked, &self.parts, &parts, now);
        let Some(terms) = terms.filter(|_| varies(&parts.headers).is_some()) else {
            return self.pass(parts, ResponseBody::passed(body));
        };
        let limit = self.core.rules.max_body;
        match ResponseBody::read(body, limit).await {
            Ok(body) if is_complete(&parts.headers, &body) => {
                self.keep(parts, body, terms, stamp, now)
            }
            Ok(body) => self.pass(parts, ResponseBody::whole(body)),
            Err(body) => self.pass(parts, body),
        }
    }

    /// The service says that the stale response is still right.
    fn confirm(&self, mut parts: response::Parts, stale: &Stored, stamp: Stamp) -> Arc<Kept> {
        let now = self.core.now();
        parts.status = stale.status;
        parts.headers = updated(&stale.headers, &parts.headers);
        let body = stale.body.clone();
        match self.core.rules.judge(&self.asked, &self.parts, &parts, now) {
            Some(terms) => self.keep(parts, body, terms, stamp, now),
            None => self.pass(parts, ResponseBody::whole(body)),
        }
    }

    fn keep(
        &self,
        mut parts: response::Parts,
        body: Bytes,
        terms: Terms,
        stamp: Stamp,
        received: SystemTime,
    ) -> Arc<Kept> {
        let age = parts
            .headers
            .get(AGE)
            .and_then(|age| age.to_str().ok()?.parse().ok());
        prepare(parts.status, &mut parts.headers, &body);
        let varies = varies(&parts.headers).unwrap_or_default();
        Arc::new(Kept::Response(Box::new(Stored {
            status: parts.status,
            variant: variant(&varies, &self.parts.headers),
            varies,
            seal: self.core.seal(stamp, &surrogate_keys(&parts.headers)),
            headers: parts.headers,
            body,
            received,
            age: age.map_or(Duration::ZERO, Duration::from_secs),
            terms,
        })))
    }

    fn pass(&self, parts: response::Parts, body: ResponseBody<B>) -> Arc<Kept> {
        self.leave(parts, body);
        Arc::new(Kept::Pass)
    }

    fn leave(&self, parts: response::Parts, body: ResponseBody<B>) {
        let mut response = Response::from_parts(parts, body);
        Origin::Passed.tell(response.headers_mut());
        self.errand.leave(Ok(response));
    }
}

/// Makes a request one for the whole response, unless what is kept is still right.
fn ask_whole(headers: &mut HeaderMap, stale: Option<&Stored>) {
    for name in [IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE] {
        headers.remove(name);
    }
    let validators = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    for (validator, condition) in validators {
        if let Some(value) = stale.and_then(|stale| stale.headers.get(validator)) {
            headers.insert(condition, value.clone());
        }
    }
}

/// Headers as the service confirms them: its new ones take the place of the old, but for those that
/// describe the body, which stays.
fn updated(old: &HeaderMap, new: &HeaderMap) -> HeaderMap {
    const OF_THE_BODY: [HeaderName; 3] = [CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE];
    let is_taken =
        |name: &HeaderName| !OF_THE_BODY.contains(name) && !OF_THE_CONNECTION.contains(name);
    let mut headers = old.clone();
    headers.remove(AGE);
    for name in new.keys().filter(|name| is_taken(name)) {
        headers.remove(name);
        for value in new.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

impl Core {
    fn seal(&self, stamp: Stamp, tags: &[Box<str>]) -> Option<Seal> {
        let slotting = &self.cache.shared.slotting;
        let slots = tags.chunks(MAX_TAGS).map(|tags| slotting.slots(tags).ok());
        let slots: Option<Box<[Slots]>> = slots.collect();
        slots.map(|slots| Seal { stamp, slots })
    }
}

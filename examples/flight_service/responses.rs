//! Answers that are worth keeping: made once, shared by all instances, and not sent to those who have them.

use super::failure::Failure;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use perfkit::cache::http::{PurgeError, ResponseCache};
use perfkit::cache::store::RedisStore;
use perfkit::cache::{Cache, EntryPolicy, FarTier};
use perfkit::core::Registry;
use perfkit::settings::CacheSettings;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

/// Room for the bodies that are kept near.
const BYTES: u64 = 64 << 20;

/// A body and what it is told by.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Rendered {
    /// Weak, since the same body may be sent compressed.
    etag: String,
    body: Bytes,
}

/// What all answers are tagged with that show more than one flight.
pub(crate) const FLIGHTS: &str = "flights";

/// The answers by what was asked.
#[derive(Clone)]
pub(crate) struct Responses {
    pub(crate) cache: Cache<String, Rendered>,
    /// Whole responses of the routes that stand behind it, unless nothing is to be kept.
    pub(crate) pages: Option<ResponseCache>,
}

impl Responses {
    /// Keeps answers in memory, and on Redis if there is one; a write by another instance stays unseen for at most
    /// `window`.
    pub(crate) fn new(
        settings: &CacheSettings,
        redis: Option<&str>,
        window: Duration,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let size = |key: &String, answer: &Rendered| (key.len() + answer.body.len()) as u64;
        let mut cache = settings.builder("responses").max_weight(BYTES, size);
        let mut pages = ResponseCache::builder("pages")
            .ttl(settings.default_ttl.max(Duration::from_secs(1)))
            .tags(|_| vec![FLIGHTS.to_owned()])
            .max_bytes(BYTES)
            // Who reloads a page again and again is no reason to make it anew: it is not kept beyond a change.
            .ignore_reloads();
        if let Some(url) = redis {
            cache = cache.far(FarTier::new(RedisStore::new(url)?).near_ttl(window));
            pages = pages.far(RedisStore::new(url)?, window);
        }
        let (cache, pages) = (cache.build()?, pages.build()?);
        cache.register(registry);
        pages.register(registry);
        Ok(Self {
            cache,
            pages: settings.enabled.then_some(pages),
        })
    }

    /// Forgets what has any of these tags, here even if others cannot be told.
    pub(crate) async fn forget(&self, tags: &BTreeSet<String>) -> Result<(), PurgeError> {
        let pages = async {
            match &self.pages {
                Some(pages) => pages.purge_tags(tags).await,
                None => Ok(()),
            }
        };
        let (answers, pages) = tokio::join!(self.cache.invalidate_tags(tags), pages);
        answers?;
        pages
    }

    /// The kept answer to `asked`, or what `make` makes; only its tag if the client has the rest.
    pub(crate) async fn answer<T, F, A>(
        &self,
        client: &HeaderMap,
        asked: String,
        tags: &[String],
        make: F,
    ) -> Result<Response, Failure>
    where
        T: Serialize,
        F: FnOnce() -> A + Send + 'static,
        A: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let policy = tags.iter().fold(EntryPolicy::new(), EntryPolicy::tag);
        let render = async move || render(&make().await?);
        let answer = self.cache.get_or_load_with(asked, policy, render).await?;
        let about = [
            (ETAG, answer.etag.clone()),
            // Whoever keeps it asks each time whether it is still true.
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        if has(client, &answer.etag) {
            return Ok((StatusCode::NOT_MODIFIED, about).into_response());
        }
        let kind = [(CONTENT_TYPE, "application/json")];
        Ok((about, kind, Body::from(answer.body)).into_response())
    }
}

fn render(answer: &impl Serialize) -> Result<Rendered, Failure> {
    let body = serde_json::to_vec(answer)
        .map_err(|error| Failure::Unacceptable(format!("an answer without a form: {error}")))?;
    let mut etag = String::from("W/\"");
    for byte in &Sha256::digest(&body)[..16] {
        let _written = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    Ok(Rendered {
        etag,
        body: body.into(),
    })
}

/// Whether the client says that it has this very answer.
fn has(client: &HeaderMap, etag: &str) -> bool {
    let lists = client.get_all(IF_NONE_MATCH).into_iter();
    let mut tags = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    tags.any(|tag| {
        matches!(tag.trim(), "*")
            || tag.trim().trim_start_matches("W/") == etag.trim_start_matches("W/")
    })
}

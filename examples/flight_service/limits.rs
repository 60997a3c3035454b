//! How much one client may ask.

use super::args::Args;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Request};
use perfkit::breaker::http::{ClientAddress, KeyExtractor as _, LimitLayer};
use perfkit::breaker::{KeyedLimiter, RedisStore, SharedLimiter};
use perfkit::core::Registry;
use std::sync::Arc;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const CLIENTS: usize = 100_000;

/// A limit of this instance, or of all.
pub(crate) enum Limits {
    Own(Arc<KeyedLimiter>),
    Shared(Arc<SharedLimiter>),
}

impl Limits {
    /// The limit that the arguments ask for.
    pub(crate) fn new(args: &Args, registry: &Registry) -> anyhow::Result<Self> {
        let Some(url) = &args.redis_url else {
            let limiter = Arc::new(KeyedLimiter::new(&args.rate_limit, CLIENTS)?);
            limiter.register(registry);
            return Ok(Self::Own(limiter));
        };
        let store = RedisStore::new(url, "limits:")?;
        let limiter = SharedLimiter::builder("clients", &args.rate_limit, store)
            .instances(args.instances)
            .capacity(CLIENTS)
            .build()?;
        let limiter = Arc::new(limiter);
        limiter.register(registry);
        Ok(Self::Shared(limiter))
    }

    /// Puts it before all routes.
    pub(crate) fn before(&self, router: Router) -> Router {
        match self {
            Self::Own(limiter) => router.layer(LimitLayer::new(Arc::clone(limiter), client)),
            Self::Shared(limiter) => router.layer(LimitLayer::new(Arc::clone(limiter), client)),
        }
    }
}

/// Who asks: the key that the client was given, else where it calls from.
fn client(request: &Request<Body>) -> Option<Vec<u8>> {
    match request.headers().get(API_KEY) {
        Some(key) => Some(key.as_bytes().to_vec()),
        None => {
            let address = ClientAddress::of_connect_info().key(request)?;
            Some(address.as_ref().to_vec())
        }
    }
}

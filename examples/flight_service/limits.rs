//! How much one client may ask.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use perfkit::breaker::http::{AddressKey, Admit, Answer, ClientAddress, KeyExtractor, LimitLayer};
use perfkit::breaker::{KeyedLimiter, Quota, RedisStore, SharedLimiter};
use perfkit::core::Registry;
use std::sync::Arc;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A limit of this instance, or of all.
pub(crate) enum Limits {
    Own(Arc<KeyedLimiter>),
    Shared(Arc<SharedLimiter>),
}

impl Limits {
    /// Holds each of at most `clients` clients to `quota`, on all of the `instances` if they share a Redis.
    pub(crate) fn new(
        quota: &Quota,
        clients: usize,
        redis: Option<&str>,
        instances: u32,
        registry: &Registry,
    ) -> anyhow::Result<Arc<Self>> {
        let Some(url) = redis else {
            let limiter = Arc::new(KeyedLimiter::new(quota, clients)?);
            limiter.register(registry);
            return Ok(Arc::new(Self::Own(limiter)));
        };
        let store = RedisStore::new(url, "limits:")?;
        let limiter = SharedLimiter::builder("clients", quota, store)
            .instances(instances)
            .capacity(clients)
            .build()?;
        let limiter = Arc::new(limiter);
        limiter.register(registry);
        Ok(Arc::new(Self::Shared(limiter)))
    }

    /// What stands before all routes.
    pub(crate) fn layer(self: &Arc<Self>) -> LimitLayer<Self, WhoAsks> {
        LimitLayer::new(Arc::clone(self), WhoAsks)
    }
}

impl Admit for Limits {
    type Decide = <SharedLimiter as Admit>::Decide;

    fn admit(self: &Arc<Self>, key: &[u8]) -> Answer<Self::Decide> {
        match &**self {
            Self::Own(limiter) => Answer::Now(limiter.check(key)),
            Self::Shared(limiter) => limiter.admit(key),
        }
    }

    fn quota(&self) -> Quota {
        match self {
            Self::Own(limiter) => limiter.quota(),
            Self::Shared(limiter) => limiter.quota(),
        }
    }

    fn is_under(&self, quota: &Quota) -> bool {
        match self {
            Self::Own(limiter) => limiter.is_under(quota),
            Self::Shared(limiter) => limiter.is_under(quota),
        }
    }
}

/// The key that the client was given, else the address that it calls from.
#[derive(Clone, Copy)]
pub(crate) struct WhoAsks;

pub(crate) enum Client {
    Key(HeaderValue),
    Address(AddressKey),
}

impl KeyExtractor<Body> for WhoAsks {
    type Key = Client;

    fn key(&self, request: &Request<Body>) -> Option<Client> {
        match request.headers().get(API_KEY) {
            Some(key) => Some(Client::Key(key.clone())),
            None => {
                let address = ClientAddress::of_connect_info().key(request)?;
                Some(Client::Address(address))
            }
        }
    }
}

impl AsRef<[u8]> for Client {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Key(key) => key.as_bytes(),
            Self::Address(address) => address.as_ref(),
        }
    }
}

//! Responses of an HTTP service, cached in front of it.
//!
//! A [`ResponseCache`] is a tower layer. What it may keep and for how long follows RFC 9111, seen as a
//! *shared* cache; it adds what an application wants of a cache in its own process: a time to live for
//! responses that say nothing, keys without marketing parameters, purges by tag and by path.
//!
//! # What is never shared
//!
//! A response with `Set-Cookie`, `private` or `no-store`, one to a request with `Authorization` (unless
//! [`scope`](ResponseCacheBuilder::scope) says whose it is), one that varies by `*`, one whose body
//! breaks off, is longer than the limit or never ends. Such a response is streamed on as it comes, and
//! for a while requests for it do not wait for each other: nobody gains by standing in line for what
//! will not be shared.
//!
//! # One call for all who miss
//!
//! The call to the service is a load of the cache: however many clients ask at once, one call is made,
//! as a task of its own, and a client that hangs up does not disturb it. A purge that comes while it
//! runs reaches it, too.
//!
//! # Variants
//!
//! A response with `Vary` is kept with the values of those request headers. The first variant lies under
//! the request's own key and tells which headers matter; every other lies under a key made longer by
//! its values. So a request costs one look for what does not vary and at most two for what does.

mod answer;
mod body;
mod builder;
mod cdn;
mod directives;
mod errand;
mod key;
mod purge;
mod rules;
mod service;
mod stored;
mod visit;

pub use body::ResponseBody;
pub use builder::ResponseCacheBuilder;
pub use cdn::{CdnPurge, HttpPurge, PurgeError};
pub use purge::ResponseCache;
pub use rules::{Keep, KeepWhen};
pub use service::{ResponseCacheService, ResponseFuture};

//! Limits for HTTP: who calls, what a denied call is told, and the layer that does both.
//!
//! A [`LimitLayer`] takes a limiter and a [`KeyExtractor`]. Denied requests are answered with status 429,
//! `Retry-After` rounded up to whole seconds, and a problem document; every answer carries `RateLimit` and
//! `RateLimit-Policy` in the structured-field syntax of the IETF draft
//! *RateLimit header fields for HTTP*, revision 10.
//!
//! # Who calls
//!
//! The address at the other end of the connection is the only one that nobody can choose. Behind a proxy it
//! is the proxy's; then [`ClientAddress::behind`] takes the address that the outermost proxy *of one's own*
//! has seen, counted from the end of `X-Forwarded-For`. What stands before it came from outside, and the
//! usual first entry is whatever a client cared to write.
//!
//! IPv6 addresses count by their first 64 bits, of which one customer has all the rest. Requests without a
//! key share one limit, so that to leave out a header gains nothing.

#[cfg(feature = "axum")]
mod axum;
mod decimal;
mod headers;
mod keys;
mod layer;
mod problem;

pub use headers::{parse_retry_after, retry_after, set_headers};
pub use keys::{AddressKey, ClientAddress, HeaderKey, KeyExtractor};
pub use layer::{Admit, Answer, LimitFuture, LimitLayer, LimitService};
pub use problem::{too_many_requests, unavailable};

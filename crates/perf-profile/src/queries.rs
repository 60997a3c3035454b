//! Statements and the requests that ran them.
//!
//! sqlx reports each statement as a `tracing` event. The layer reads it where it is emitted, takes the
//! text's fingerprint, and looks up the spans around it for the request that it belongs to. On SQLite
//! that event comes from a worker thread, where neither task-locals nor thread-locals know the
//! request; but sqlx enters the caller's span there, so the span does.

#[cfg(feature = "sqlx")]
mod asked;
mod book;
mod event;
mod latency;
mod layer;
mod lost;
mod names;
mod on_demand;
mod request;
mod requests;
mod running;
mod slowest;
mod sql_layer;
mod stats;
mod timeline;
mod wrapped;

pub use layer::{QueryEvents, QueryRecorder};
pub use request::RequestScope;
pub use sql_layer::SqlLayer;
pub use stats::{QueryStats, RequestStats, RunningQuery, SlowQuery, SlowRequest};
pub use timeline::RequestSlice;
pub use wrapped::Wrapped;

#[cfg(feature = "sqlx")]
pub(crate) use asked::Asked;
pub(crate) use book::{Book, Observed};
pub(crate) use latency::Latency;
pub(crate) use request::RequestState;
pub(crate) use requests::Requests;
pub(crate) use slowest::Slowest;
pub(crate) use timeline::Timeline;

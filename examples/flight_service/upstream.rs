//! Another service, which knows the gates and is not always there.

mod client;
mod server;

pub(crate) use client::{Gates, UpstreamError};
pub(crate) use server::serve;

use serde::{Deserialize, Serialize};

/// Where a flight is boarded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Gate {
    pub(crate) flight: i64,
    pub(crate) gate: String,
}

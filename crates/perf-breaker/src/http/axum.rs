//! What axum calls things.

use super::{ClientAddress, too_many_requests, unavailable};
use crate::error::{GuardError, Rejection};
use crate::limiter::Decision;
use ::axum::extract::ConnectInfo;
use ::axum::response::{IntoResponse, Response};
use ::http::StatusCode;
use std::net::SocketAddr;
use std::time::Duration;

impl ClientAddress {
    /// The connection's address as axum knows it, for services that are served by
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    #[must_use]
    pub const fn of_connect_info() -> Self {
        Self::of(|extensions| {
            let info = extensions.get::<ConnectInfo<SocketAddr>>();
            info.map(|ConnectInfo(address)| address.ip())
        })
    }
}

/// Status 429 with the limit that was reached, for a denied call.
impl IntoResponse for Decision {
    fn into_response(self) -> Response {
        if self.is_allowed() {
            return StatusCode::OK.into_response();
        }
        too_many_requests(&self.limit().into(), &self)
    }
}

/// Status 503 and when to come back.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        unavailable(self.retry_after)
    }
}

/// Status 429 for a denied call, 503 for one that was refused, 504 for one that took too long, and the
/// call's own answer otherwise.
impl<E: IntoResponse> IntoResponse for GuardError<E> {
    fn into_response(self) -> Response {
        match self {
            Self::Inner(error) => error.into_response(),
            Self::RateLimited(decision) => decision.into_response(),
            Self::Elapsed { .. } => StatusCode::GATEWAY_TIMEOUT.into_response(),
            refused => {
                let wait = refused.retry_after();
                unavailable(wait.unwrap_or(Duration::from_secs(1)))
            }
        }
    }
}

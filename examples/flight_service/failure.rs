//! What a client is told when something fails.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use perfkit::breaker::GuardError;
use perfkit::bulk::{BulkError, TaskError};
use perfkit::cache::LoadError;
use perfkit::core::Transience;
use serde_json::json;

/// Why a request has no answer of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{0}")]
    Unacceptable(String),
    #[error(transparent)]
    Page(#[from] perfkit::paginate::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Bulk(#[from] BulkError),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("the upstream has no answer")]
    Upstream(#[from] GuardError<super::upstream::UpstreamError>),
    #[error(transparent)]
    Load(Box<LoadError<Self>>),
}

impl Failure {
    /// The status that tells a client whether asking again, or otherwise, may help.
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::Task(TaskError::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Unacceptable(_) | Self::Bulk(BulkError::Constraint { .. }) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Page(error) => {
                StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Upstream(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Load(error) => match error.loader() {
                Some(failure) => failure.status(),
                None => StatusCode::SERVICE_UNAVAILABLE,
            },
            other if other.is_transient() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Database(error) => is_transient(error),
            Self::Bulk(error) => error.is_transient(),
            Self::Task(error) => error.is_transient(),
            _ => false,
        }
    }

    /// In how many seconds to ask again.
    fn retry_after(&self) -> u64 {
        match self {
            Self::Upstream(error) => error.retry_after().map_or(1, |wait| wait.as_secs() + 1),
            Self::Load(error) => error.loader().map_or(1, |failure| failure.retry_after()),
            _ => 1,
        }
    }
}

/// Whether a connection, and not the statement, is at fault.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| Transience::of_sqlstate(&code).is_transient()),
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}

impl From<LoadError<Self>> for Failure {
    fn from(error: LoadError<Self>) -> Self {
        Self::Load(Box::new(error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let mut problem = json!({ "title": title, "status": status.as_u16() });
        if status.is_client_error() {
            problem["detail"] = self.to_string().into();
        } else {
            tracing::warn!(error = &self as &dyn std::error::Error, "a request failed");
        }
        let kind = [(CONTENT_TYPE, "application/problem+json")];
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let wait = [(RETRY_AFTER, self.retry_after())];
            return (status, kind, wait, Json(problem)).into_response();
        }
        (status, kind, Json(problem)).into_response()
    }
}

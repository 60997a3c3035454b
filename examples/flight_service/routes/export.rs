//! All flights at once.

use super::super::failure::Failure;
use super::super::service::Service;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use perfkit::paginate::PageQuery;
use std::sync::Arc;

/// Lines of JSON, compressed as they are read: see `perfkit::paginate::Recovery` for a copy that broke off.
pub(super) async fn flights(
    State(service): State<Arc<Service>>,
    query: PageQuery,
) -> Result<impl IntoResponse, Failure> {
    let pieces = service.database.export(&query)?;
    let kind = [(CONTENT_TYPE, "application/gzip")];
    Ok((kind, Body::from_stream(pieces)))
}

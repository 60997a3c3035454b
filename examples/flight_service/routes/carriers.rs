//! Figures over all flights.

use super::super::failure::Failure;
use super::super::responses::FLIGHTS;
use super::super::service::Service;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;

/// How each airline did, computed once after each change.
pub(super) async fn figures(
    State(service): State<Arc<Service>>,
    client: HeaderMap,
) -> Result<Response, Failure> {
    let database = Arc::clone(&service.database);
    let make = async move || database.carriers().await;
    let tags = [FLIGHTS.to_owned()];
    service
        .responses
        .answer(&client, "carriers".to_owned(), &tags, make)
        .await
}

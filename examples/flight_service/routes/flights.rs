//! Pages of flights, and single ones.

use super::super::data::{Flight, Listed};
use super::super::failure::Failure;
use super::super::responses::FLIGHTS;
use super::super::service::Service;
use super::super::upstream::Gate;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use perfkit::paginate::PageQuery;
use perfkit::paginate::axum::PageResponse;
use perfkit::profile::profile;
use serde::Deserialize;
use std::sync::Arc;

/// What of a flight can be changed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    dep_delay: i64,
}

/// A page, with what belongs to its rows.
#[profile(crate = ::perfkit::profile, name = "flights::list")]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    uri: Uri,
    query: PageQuery,
) -> Result<PageResponse<Listed>, Failure> {
    let page = service.database.page(&query).await?;
    let lookups = service.relations.listed(&page.items).await?;
    Ok(PageResponse::new(
        page.map(|flight| lookups.of(flight)),
        uri,
    ))
}

/// One flight, kept until it changes.
pub(super) async fn detail(
    State(service): State<Arc<Service>>,
    Path(id): Path<i64>,
    client: HeaderMap,
) -> Result<Response, Failure> {
    let asked = Arc::clone(&service);
    let make = async move || {
        let flight = asked.database.flight(id).await?;
        asked
            .relations
            .detail(flight.ok_or(Failure::NotFound("flight"))?)
            .await
    };
    let responses = &service.responses;
    responses
        .answer(&client, format!("flight:{id}"), &[tag(id)], make)
        .await
}

/// Changes a flight, then tells everybody who may have kept it.
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    Path(id): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<Flight>, Failure> {
    let changed = service.database.set_delay(id, change.dep_delay).await?;
    let changed = changed.ok_or(Failure::NotFound("flight"))?;
    service
        .invalidations
        .of([tag(id), FLIGHTS.to_owned()])
        .await;
    Ok(Json(changed))
}

/// Where a flight is boarded.
pub(super) async fn gate(
    State(service): State<Arc<Service>>,
    Path(id): Path<i64>,
) -> Result<Json<Gate>, Failure> {
    Ok(Json(service.gates.of(id).await?))
}

/// What all answers that show a flight are tagged with.
fn tag(id: i64) -> String {
    format!("flight:{id}")
}

//! The same as one would first write it: pages by number, a query for each row's relations, nothing kept.

use super::super::data::{CarrierFigures, Listed};
use super::super::failure::Failure;
use super::super::service::Service;
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const SIZE: i64 = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Number {
    #[serde(default)]
    page: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Items {
    items: Vec<Listed>,
}

/// A page by its number.
pub(super) async fn flights(
    State(service): State<Arc<Service>>,
    Query(Number { page }): Query<Number>,
) -> Result<Json<Items>, Failure> {
    let database = &service.database;
    let mut items = Vec::new();
    for flight in database.page_by_offset(SIZE, page * SIZE).await? {
        let airline = database.airline(&flight.carrier).await?.map(Arc::new);
        let plane = match &flight.tailnum {
            Some(tailnum) => database.plane(tailnum).await?.map(Arc::new),
            None => None,
        };
        items.push(Listed {
            flight,
            airline,
            plane,
        });
    }
    Ok(Json(Items { items }))
}

/// The figures of all airlines, computed for each request.
pub(super) async fn carriers(
    State(service): State<Arc<Service>>,
) -> Result<Json<Vec<CarrierFigures>>, Failure> {
    Ok(Json(service.database.carriers().await?))
}

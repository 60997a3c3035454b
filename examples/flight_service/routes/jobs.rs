//! Reports that are computed later.

use super::super::failure::Failure;
use super::super::jobs::DelayReport;
use super::super::service::Service;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use perfkit::bulk::{Enqueue, TaskId, TaskStatus};
use serde_json::{Value, json};
use std::sync::Arc;

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Accepts a report: once this is answered, it will be computed, whatever becomes of this process.
///
/// Requests with the same `idempotency-key` are one.
pub(super) async fn submit(
    State(service): State<Arc<Service>>,
    client: HeaderMap,
    Json(report): Json<DelayReport>,
) -> Result<impl IntoResponse, Failure> {
    let mut task = Enqueue::new(report);
    if let Some(key) = client
        .get(IDEMPOTENCY_KEY)
        .and_then(|key| key.to_str().ok())
    {
        task = task.key(key);
    }
    let id = service.jobs.enqueue(task).await?.id();
    let place = [(LOCATION, format!("/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, place, Json(json!({ "id": id }))))
}

/// The state of a report, and its result once there is one.
pub(super) async fn state(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let id: TaskId = id.parse().map_err(|_| Failure::NotFound("job"))?;
    let record = service.jobs.handle::<DelayReport>(id).record().await?;
    let state = match record.status {
        TaskStatus::Succeeded => "done",
        TaskStatus::Dead => "failed",
        TaskStatus::Cancelled => "cancelled",
        TaskStatus::Running => "running",
        _ => "waiting",
    };
    let output = record.output.as_deref().map(serde_json::from_str::<Value>);
    let output = output.and_then(Result::ok);
    Ok(Json(
        json!({ "state": state, "attempts": record.attempts, "result": output, "error": record.error }),
    ))
}

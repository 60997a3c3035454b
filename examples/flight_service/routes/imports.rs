//! Many flights at once, written as they arrive.

use super::super::data::NewFlight;
use super::super::failure::Failure;
use super::super::responses::FLIGHTS;
use super::super::service::Service;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use futures_util::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use http_body_util::Limited;
use serde_json::{Value, json};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, MutexGuard, PoisonError};

const MOST_BYTES: usize = 256 << 20;

/// Writes a body of lines of JSON under a name. Repeated, it writes nothing again.
///
/// All rows are written or none: a line that is no flight, or a client that hangs up, undoes the rest.
pub(super) async fn write(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Value>, Failure> {
    let under_way = UnderWay::new(&service, name);
    let body = Body::new(Limited::new(body, MOST_BYTES)).into_data_stream();
    let lines = body.map_err(io::Error::other).into_async_read().lines();
    let rows = lines
        .enumerate()
        .map(|(number, line)| row(number + 1, line));
    let progress = |rows| under_way.rows.store(rows, Relaxed);
    let import = service
        .database
        .import(&under_way.name, rows.boxed(), &progress);
    let rows = import.await?;
    service.invalidations.of([FLIGHTS.to_owned()]).await;
    Ok(Json(json!({ "state": "done", "rows": rows })))
}

/// How far an import is.
pub(super) async fn progress(
    State(service): State<Arc<Service>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Failure> {
    let rows = imports(&service).get(&name).map(|rows| rows.load(Relaxed));
    if let Some(rows) = rows {
        return Ok(Json(json!({ "state": "running", "rows": rows })));
    }
    let rows = service.database.imported(&name).await?;
    let rows = rows.ok_or(Failure::NotFound("import"))?;
    Ok(Json(json!({ "state": "done", "rows": rows })))
}

fn row(number: usize, line: io::Result<String>) -> Result<NewFlight, Failure> {
    let line = line.map_err(|error| Failure::Unacceptable(format!("line {number}: {error}")))?;
    serde_json::from_str(&line)
        .map_err(|error| Failure::Unacceptable(format!("line {number}: {error}")))
}

/// An import that is shown as running for as long as this lives.
struct UnderWay<'s> {
    service: &'s Service,
    name: String,
    rows: Arc<AtomicU64>,
}

impl<'s> UnderWay<'s> {
    fn new(service: &'s Service, name: String) -> Self {
        let rows = Arc::<AtomicU64>::default();
        imports(service).insert(name.clone(), Arc::clone(&rows));
        Self {
            service,
            name,
            rows,
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        imports(self.service).remove(&self.name);
    }
}

fn imports(service: &Service) -> MutexGuard<'_, std::collections::HashMap<String, Arc<AtomicU64>>> {
    service
        .imports
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

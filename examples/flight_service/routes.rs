//! What clients may ask, and what stands before it.

mod carriers;
mod export;
mod flights;
mod imports;
mod jobs;
mod naive;

use super::limits::Limits;
use super::service::Service;
use axum::Router;
use axum::extract::MatchedPath;
use axum::http::request::Parts;
use axum::routing::{get, post, put};
use perfkit::profile::TimingLayer;
use std::sync::Arc;
use tower::util::option_layer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

/// Smaller answers are not worth the work.
const WORTH_COMPRESSING: u16 = 1_000;

/// All routes: timed, limited and compressed.
pub(crate) fn router(service: &Arc<Service>) -> Router {
    let packed = NotForContentType::const_new("application/gzip");
    let compression = CompressionLayer::new()
        .gzip(true)
        .compress_when(SizeAbove::new(WORTH_COMPRESSING).and(packed));
    let list = match service.responses.pages.clone() {
        Some(pages) => get(flights::list).layer(pages),
        None => get(flights::list),
    };
    let routes = Router::new()
        .route("/ping", get(async || "pong"))
        .route("/flights", list)
        .route("/flights/{id}", get(flights::detail).patch(flights::change))
        .route("/flights/{id}/gate", get(flights::gate))
        .route("/carriers", get(carriers::figures))
        .route("/export/flights.ndjson.gz", get(export::flights))
        .route(
            "/imports/{name}",
            put(imports::write).get(imports::progress),
        )
        .route("/jobs", post(jobs::submit))
        .route("/jobs/{id}", get(jobs::state))
        .route("/naive/flights", get(naive::flights))
        .route("/naive/carriers", get(naive::carriers))
        .with_state(Arc::clone(service));
    let timing = TimingLayer::new(&service.profiler).name_by_route(route);
    let timing = timing.judged_by(&service.monitor);
    let limits = option_layer(service.limits.as_ref().map(Limits::layer));
    // All at once, the outermost first: each call of `layer` would box every request and answer once more.
    let routes = routes.layer((timing, compression, limits));
    routes.merge(service.endpoints.router())
}

/// Requests are told apart by their route, not by what they fill in.
fn route(request: &Parts) -> Option<&str> {
    let path = request.extensions.get::<MatchedPath>();
    path.map(MatchedPath::as_str)
}

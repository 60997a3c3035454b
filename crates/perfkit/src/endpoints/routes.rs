use super::exposition::{self, Format};
use super::health::{Status, judge};
use super::stats::Stats;
use super::{Shared, actions, assets, live};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;

pub(super) fn router<S: Clone + Send + Sync + 'static>(shared: &Arc<Shared>) -> Router<S> {
    let mut router = Router::new()
        .route("/performance", get(assets::html))
        .route("/performance/page.css", get(assets::style))
        .route("/performance/page.js", get(assets::script))
        .route("/performance/stats", get(stats))
        .route("/performance/flames", get(flames))
        .route("/performance/events", get(events))
        .route("/health/performance", get(health))
        .route("/metrics", get(metrics));
    if shared.guard.is_some() {
        let path = "/performance/actions/{kind}/{name}/{action}";
        router = router
            .route(path, post(actions::act))
            .route(&format!("{path}/{{of}}"), post(actions::act));
    }
    router.with_state(Arc::clone(shared))
}

async fn stats(State(shared): State<Arc<Shared>>) -> Response {
    json(StatusCode::OK, Stats::read(&shared).json())
}

async fn flames(State(shared): State<Arc<Shared>>) -> Response {
    let frames = shared.source.as_ref().map(|source| source.frames());
    // Names and numbers can always be written.
    let frames = serde_json::to_string(&frames.unwrap_or_default());
    json(StatusCode::OK, frames.unwrap_or_default())
}

async fn events(State(shared): State<Arc<Shared>>) -> Response {
    live::watch(shared)
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let verdict = judge(&shared.registry.inspect(), &shared.required);
    let status = match verdict.status {
        Status::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        Status::Healthy | Status::Degraded => StatusCode::OK,
    };
    json(status, serde_json::to_string(&verdict).unwrap_or_default())
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let format = Format::preferred(accepted.filter_map(|value| value.to_str().ok()));
    let report = shared.source.as_ref().map(|source| source.report());
    let routes = report.map(|report| report.routes).unwrap_or_default();
    let text = exposition::write(format, &shared.registry.inspect(), &routes);
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept"),
    ];
    (headers, text).into_response()
}

fn json(status: StatusCode, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}

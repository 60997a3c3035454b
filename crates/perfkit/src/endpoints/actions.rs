//! What may be done from outside, by those whom the service's own guard lets pass.

use super::Shared;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::sync::Arc;

pub(super) type Guard = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

/// A part that can be told to do something.
pub(super) trait Operable: Send + Sync {
    fn kind(&self) -> &'static str;

    fn name(&self) -> String;

    /// The actions that it knows.
    fn actions(&self) -> &'static [&'static str];

    /// Does one of them.
    fn perform(&self, action: &str);
}

/// What a form of another site cannot send.
const HEADER: &str = "x-perfkit-action";

pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path((kind, name, action)): Path<(String, String, String)>,
    request: Request,
) -> (StatusCode, &'static str) {
    let (head, _) = request.into_parts();
    let passes = shared.guard.as_ref().is_some_and(|guard| guard(&head));
    if !passes || !head.headers.contains_key(HEADER) {
        return (
            StatusCode::FORBIDDEN,
            "the guard does not let this request pass",
        );
    }
    let found = shared
        .operables
        .iter()
        .find(|part| part.kind() == kind && part.name() == name);
    match found {
        Some(part) if part.actions().contains(&action.as_str()) => {
            part.perform(&action);
            (StatusCode::NO_CONTENT, "")
        }
        Some(_) => (StatusCode::NOT_FOUND, "the part knows no such action"),
        None => (StatusCode::NOT_FOUND, "there is no such part"),
    }
}

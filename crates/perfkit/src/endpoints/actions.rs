//! What may be done from outside, by those whom the service's own guard lets pass.

use super::Shared;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

pub(super) type Guard = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;

/// A part that can be told to do something.
pub(super) trait Operable: Send + Sync {
    fn kind(&self) -> &'static str;

    fn name(&self) -> String;

    /// The actions that it knows.
    fn actions(&self) -> &'static [&'static str];

    /// Those that concern something of it, which has to be named: a tag.
    fn actions_of(&self) -> &'static [&'static str] {
        &[]
    }

    /// Does one of them; the error says why it may not have happened.
    fn perform<'a>(
        &'a self,
        action: &'a str,
        of: Option<&'a str>,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// What a form of another site cannot send.
const HEADER: &str = "x-perfkit-action";

/// What is to be done, as the path says.
#[derive(Deserialize)]
pub(super) struct Asked {
    kind: String,
    name: String,
    action: String,
    of: Option<String>,
}

pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path(asked): Path<Asked>,
    request: Request,
) -> (StatusCode, Cow<'static, str>) {
    let (head, _) = request.into_parts();
    let passes = shared.guard.as_ref().is_some_and(|guard| guard(&head));
    if !passes || !head.headers.contains_key(HEADER) {
        let refusal = "the guard does not let this request pass";
        return (StatusCode::FORBIDDEN, refusal.into());
    }
    let found = shared
        .operables
        .iter()
        .find(|part| part.kind() == asked.kind && part.name() == asked.name);
    let Some(part) = found else {
        return (StatusCode::NOT_FOUND, "there is no such part".into());
    };
    let known = match &asked.of {
        Some(_) => part.actions_of(),
        None => part.actions(),
    };
    if !known.contains(&asked.action.as_str()) {
        return (
            StatusCode::NOT_FOUND,
            "the part knows no such action".into(),
        );
    }
    match part.perform(&asked.action, asked.of.as_deref()).await {
        Ok(()) => (StatusCode::NO_CONTENT, "".into()),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem.into()),
    }
}

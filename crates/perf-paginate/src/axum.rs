//! Requests, pages and errors as axum takes them.

use crate::error::Error;
use crate::page::{Page, Total};
use crate::query::PageQuery;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// Reads the query string as [`PageQuery::parse`] does. What cannot be read is answered with status 400.
impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// Problem details of RFC 9457. What is not the client's fault is not explained to it.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = status.canonical_reason().unwrap_or_default();
        let mut problem = json!({ "title": title, "status": status.as_u16() });
        if status.is_client_error() {
            problem["detail"] = self.to_string().into();
        }
        respond(status, "application/problem+json", problem.to_string())
    }
}

/// A page as a response: JSON, with a `Link` header, and `X-Total-Count` where rows were counted.
///
/// ```
/// use axum::http::Uri;
/// use perf_paginate::axum::PageResponse;
/// use perf_paginate::{Error, PageQuery, PageSource, Paginator};
/// use serde::Serialize;
///
/// async fn list<S: PageSource<Item: Serialize>>(
///     paginator: Paginator<S>,
///     uri: Uri,
///     query: PageQuery,
/// ) -> Result<PageResponse<S::Item>, Error> {
///     Ok(PageResponse::new(paginator.page(&query).await?, uri))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct PageResponse<T> {
    page: Page<T>,
    uri: Uri,
}

impl<T> PageResponse<T> {
    /// The answer to a request for `uri`.
    #[must_use]
    pub const fn new(page: Page<T>, uri: Uri) -> Self {
        Self { page, uri }
    }
}

impl<T: Serialize> IntoResponse for PageResponse<T> {
    fn into_response(self) -> Response {
        let Ok(body) = serde_json::to_string(&self.page) else {
            return Error::Configuration("an item has no form in JSON".into()).into_response();
        };
        let mut response = respond(StatusCode::OK, "application/json", body);
        let target = self
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let links = self.page.info.links(target);
        // A link is made of visible ASCII, so it is always a header's value.
        if let Some(links) = links.and_then(|links| HeaderValue::try_from(links).ok()) {
            response.headers_mut().insert(LINK, links);
        }
        if let Total::Exact(rows) = self.page.total {
            let name = HeaderName::from_static("x-total-count");
            response.headers_mut().insert(name, rows.into());
        }
        response
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

//! A list endpoint, from the request's head to the response.

use crate::rows::{Row, keyed};
use axum::body::to_bytes;
use axum::extract::FromRequestParts as _;
use axum::http::{Request, Uri};
use axum::response::{IntoResponse as _, Response};
use perf_paginate::axum::PageResponse;
use perf_paginate::{Error, PageQuery, Paginator, Plain, SliceSource};
use serde_json::{Value, json};

async fn list(uri: &str) -> Response {
    let rows: Vec<Row> = (0..5)
        .map(|id| Row {
            id,
            a: None,
            b: None,
            c: 0,
            d: true,
        })
        .collect();
    let paginator = Paginator::new(SliceSource::new(keyed(&["id"]).unwrap(), rows), Plain);
    let uri: Uri = uri.parse().unwrap();
    let (mut parts, ()) = Request::builder().uri(&uri).body(()).unwrap().into_parts();
    let answer = async {
        let query = PageQuery::from_request_parts(&mut parts, &()).await?;
        let page = paginator.page(&query).await?.map(|row| row.id);
        Ok::<_, Error>(PageResponse::new(page, uri))
    };
    answer.await.into_response()
}

async fn body(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn header(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn links_lead_through_all_pages() {
    let mut target = "/rows?sort=-id&size=2&page=1".to_owned();
    let mut shown = Vec::new();
    loop {
        let response = list(&target).await;
        assert_eq!(response.status(), 200);
        let link = header(&response, "link").unwrap();
        let page = body(response).await;
        shown.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = link
            .split(", ")
            .find_map(|link| link.strip_suffix(r#">; rel="next""#))
        else {
            assert!(link.starts_with(
                r#"</rows?sort=-id&size=2>; rel="first", </rows?sort=-id&size=2&cursor="#
            ));
            break;
        };
        target = next[1..].to_owned();
    }
    assert_eq!(Value::from(shown), json!([4, 3, 2, 1, 0]));
}

#[tokio::test]
async fn only_a_true_total_is_a_header() {
    assert_eq!(
        header(&list("/rows?page=1").await, "x-total-count").as_deref(),
        Some("5")
    );
    assert_eq!(header(&list("/rows").await, "x-total-count"), None);
    assert_eq!(header(&list("/rows").await, "link"), None);
    let page = body(list("/rows?page=1&size=1").await).await;
    assert_eq!(page["total"], json!({ "kind": "exact", "rows": 5 }));
    assert_eq!(page["page_info"]["has_prev"], false);
}

#[tokio::test]
async fn bad_requests_are_problems_with_status_400() {
    for query in [
        "size=0",
        "page=x",
        "cursor=x",
        "sort=nope",
        "filter[a]=x",
        "filter[a][like]=1",
        "sort=%ff",
    ] {
        let response = list(&format!("/rows?{query}")).await;
        assert_eq!(response.status(), 400, "{query}");
        assert_eq!(
            header(&response, "content-type").as_deref(),
            Some("application/problem+json")
        );
        let problem = body(response).await;
        assert_eq!(
            (&problem["title"], &problem["status"]),
            (&json!("Bad Request"), &json!(400))
        );
        assert!(problem["detail"].is_string());
    }
    let error = Error::Configuration("the secret reason".into()).into_response();
    assert_eq!(error.status(), 500);
    assert_eq!(
        body(error).await,
        json!({ "title": "Internal Server Error", "status": 500 })
    );
}

//! How does an axum service keep its responses, and purge those that a change concerns?
//!
//! ```sh
//! cargo run -p perfkit-examples --example cache_responses
//! ```
//!
//! It calls its own router as clients would. Nothing has to be set up.

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use perf_cache::http::ResponseCache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::ServiceExt;

/// How many pages were rendered.
type Rendered = Arc<AtomicU64>;

#[tokio::main]
async fn main() -> Result<()> {
    let pages = ResponseCache::builder("pages")
        // Advertisers' parameters make no other page.
        .query_except(["utm_*", "fbclid"])
        // While a page is rendered anew, and while that fails, clients get the old one.
        .stale_while_revalidate(Duration::from_secs(30))
        .stale_if_error(Duration::from_secs(600))
        .build()?;
    let rendered = Rendered::default();
    let app = Router::new()
        .route("/articles/{id}", get(article).put(edit))
        .route("/account", get(account))
        .with_state(Arc::clone(&rendered))
        .layer(pages.clone());

    let clients = (0..100).map(|client| {
        send(
            &app,
            Method::GET,
            format!("/articles/7?utm_id={client}"),
            "",
        )
    });
    let answers = futures_util::future::try_join_all(clients).await?;
    ensure!(
        answers
            .iter()
            .all(|answer| answer.text == "article 7, rendered as number 1")
    );
    println!(
        "100 clients at once: {} page rendered",
        rendered.load(Ordering::Relaxed)
    );

    let kept = send(&app, Method::GET, "/articles/7".into(), "").await?;
    println!("again: {}", kept.told);
    let known = send(&app, Method::GET, "/articles/7".into(), &kept.tag).await?;
    println!(
        "with its tag: {} and {} bytes",
        known.status,
        known.text.len()
    );

    send(&app, Method::PUT, "/articles/7".into(), "").await?;
    let edited = send(&app, Method::GET, "/articles/7".into(), "").await?;
    println!("after an edit: {}", edited.text);

    // The header of every page shows the author's name: all of hers carry a tag.
    pages.purge_tag("author-3").await?;
    let renamed = send(&app, Method::GET, "/articles/7".into(), "").await?;
    println!("after a purge: {}", renamed.text);

    for _ in 0..2 {
        let private = send(&app, Method::GET, "/account".into(), "").await?;
        println!("private: {}, {}", private.text, private.told);
    }
    Ok(())
}

async fn article(Path(id): Path<u32>, State(rendered): State<Rendered>) -> impl IntoResponse {
    let number = rendered.fetch_add(1, Ordering::Relaxed) + 1;
    // A page that takes a while: others ask for it meanwhile.
    tokio::task::yield_now().await;
    let headers = [
        ("cache-control", "max-age=60"),
        ("surrogate-key", "articles author-3 front-page"),
    ];
    (
        headers,
        format!("article {id}, rendered as number {number}"),
    )
}

async fn edit() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn account(State(rendered): State<Rendered>) -> impl IntoResponse {
    let number = rendered.fetch_add(1, Ordering::Relaxed) + 1;
    let headers = [("cache-control", "private, max-age=60")];
    (headers, format!("rendered as number {number}"))
}

struct Answer {
    status: StatusCode,
    tag: String,
    told: String,
    text: String,
}

async fn send(app: &Router, method: Method, uri: String, known: &str) -> Result<Answer> {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header("if-none-match", known).body(Body::empty())?;
    let (parts, body) = app.clone().oneshot(request).await?.into_parts();
    Ok(Answer {
        status: parts.status,
        tag: header(&parts.headers, "etag"),
        told: header(&parts.headers, "cache-status"),
        text: String::from_utf8(to_bytes(body, 1 << 20).await?.into())?,
    })
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

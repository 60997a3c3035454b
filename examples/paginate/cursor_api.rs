//! How does an HTTP API hand out pages by cursor, and what happens to a client that makes cursors up?
//!
//! The handler is one line: the query string becomes a checked request, the page becomes JSON with a
//! `Link` header. A client follows `rel="next"` until there is none.
//!
//! ```text
//! cargo run --example paginate_cursor_api
//! ```

use anyhow::Context as _;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::LINK;
use axum::http::{Request, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{Router, get};
use perfkit::paginate::axum::PageResponse;
use perfkit::paginate::{Error, PageQuery, Paginator, Resource, Sealed, SqlSource};
use serde::Serialize;
use sqlx::{Sqlite, SqlitePool};
use tower::ServiceExt as _;

#[derive(Resource, Serialize, sqlx::FromRow)]
#[resource(table = "articles", crate = ::perfkit::paginate)]
struct Article {
    #[resource(key)]
    id: i64,
    #[resource(sort, filter)]
    score: Option<i64>,
}

type Articles = Paginator<SqlSource<Sqlite, Article>>;

async fn list(
    State(articles): State<Articles>,
    uri: Uri,
    query: PageQuery,
) -> Result<PageResponse<Article>, Error> {
    Ok(PageResponse::new(articles.page(&query).await?, uri))
}

async fn service() -> anyhow::Result<Router> {
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    sqlx::raw_sql(
        "CREATE TABLE articles (id INTEGER PRIMARY KEY, score INTEGER);
         WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 250)
         INSERT INTO articles SELECT id, NULLIF(id * 31 % 50, 0) FROM n;
         CREATE INDEX articles_by_score ON articles (score, id)",
    )
    .execute(&pool)
    .await?;
    // Sealed cursors do not show the rows that they lie between. A service reads its key from its settings.
    let articles = Articles::new(SqlSource::new(pool)?, Sealed::new(&[7; 32])?);
    Ok(Router::new()
        .route("/articles", get(list))
        .with_state(articles))
}

async fn request(service: &Router, target: &str) -> anyhow::Result<(Response, serde_json::Value)> {
    let request = Request::get(target).body(Body::empty())?;
    let (head, body) = service.clone().oneshot(request).await?.into_parts();
    let body = serde_json::from_slice(&to_bytes(body, 1 << 20).await?)?;
    Ok((Response::from_parts(head, Body::empty()), body))
}

/// Where the link with `rel="next"` leads.
fn next(response: &Response) -> Option<String> {
    let links = response.headers().get(LINK)?.to_str().ok()?;
    let next = links
        .split(", ")
        .find_map(|link| link.strip_suffix(r#">; rel="next""#))?;
    next.strip_prefix('<').map(str::to_owned)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = service().await?;
    let first = "/articles?sort=-score&size=60";
    let mut target = Some(first.to_owned());
    let (mut pages, mut seen) = (0, Vec::new());
    while let Some(link) = target {
        let (response, page) = request(&service, &link).await?;
        let items = page["items"].as_array().context("a page has items")?;
        seen.extend(items.iter().map(|item| item["id"].clone()));
        pages += 1;
        target = next(&response);
    }
    let walked = seen.len();
    seen.sort_by_key(serde_json::Value::as_i64);
    seen.dedup();
    println!(
        "{pages} pages, {walked} articles, {} of them different",
        seen.len()
    );

    let (response, _) = request(&service, first).await?;
    let link = next(&response).context("more than one page")?;
    let forged = format!("{}AAAA", &link[..link.len() - 4]);
    let of_another_sort = link.replace("sort=-score", "sort=score");
    for (what, target) in [("forged", forged), ("of another sort", of_another_sort)] {
        let (response, problem) = request(&service, &target).await?;
        anyhow::ensure!(response.status() == StatusCode::BAD_REQUEST, "accepted");
        println!("{what}: {}, {}", problem["status"], problem["detail"]);
    }
    Ok(())
}

//! How much code is a service of one's own, with a cache, pages, a breaker and a profile?
//!
//! ```text
//! cargo run --release --example sixty_lines
//! curl 'http://127.0.0.1:3000/books?sort=-year&size=2'
//! curl http://127.0.0.1:3000/books/1        # kept for a minute, loaded once however many ask
//! curl http://127.0.0.1:3000/books/1/price  # asks a supplier, unless that keeps failing
//! curl http://127.0.0.1:3000/profile        # what took how long, and which queries are to blame
//! ```

use axum::{Json, Router, extract::Path, http::StatusCode, http::Uri, routing::get};
use perfkit::paginate::{PageQuery, Paginator, Resource, Signed, SqlSource, axum::PageResponse};
use perfkit::{breaker::CircuitBreaker, cache::Cache, profile::Profiler, profile::TimingLayer};
use sqlx::{Sqlite, SqlitePool};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

#[derive(Clone, Resource, serde::Serialize, sqlx::FromRow)]
#[resource(table = "books", crate = ::perfkit::paginate)]
struct Book {
    #[resource(key)]
    id: i64,
    #[resource(sort, filter)]
    year: i64,
    title: String,
}

const BOOKS: &str = "CREATE TABLE books (id INTEGER PRIMARY KEY, year INTEGER, title TEXT);
    INSERT INTO books VALUES (1, 1818, 'Frankenstein'), (2, 1851, 'Moby-Dick'), (3, 1897, 'Dracula')";

/// Stands for a request to a supplier, who knows the price of some books only.
async fn ask_supplier(id: i64) -> Result<String, StatusCode> {
    let price = (id % 2 == 1).then(|| format!("{id}.99"));
    price.ok_or(StatusCode::BAD_GATEWAY)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let profiler = Profiler::builder().build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    subscriber.init();
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    sqlx::raw_sql(BOOKS).execute(&pool).await?;

    let source = SqlSource::<Sqlite, Book>::new(pool.clone())?;
    let pages = Paginator::new(source, Signed::new(&[7; 32])?);
    let list = async move |uri: Uri, query: PageQuery| {
        let page = pages.page(&query).await;
        page.map(|page| PageResponse::new(page, uri))
    };
    let books: Cache<i64, Option<Book>> = Cache::builder("books").build()?;
    let book = async move |Path(id): Path<i64>| {
        let query = sqlx::query_as("SELECT * FROM books WHERE id = ?").bind(id);
        let load = async move || query.fetch_optional(&pool).await;
        match books.get_or_load(id, load).await {
            Ok(book) => book.map(Json).ok_or(StatusCode::NOT_FOUND),
            Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    };
    let supplier = CircuitBreaker::new("supplier");
    let price = async move |Path(id): Path<i64>| supplier.call(ask_supplier(id)).await;
    let timing = TimingLayer::new(&profiler);
    let profile = async move || profiler.snapshot().to_string();
    let routes = Router::new()
        .route("/books", get(list))
        .route("/books/{id}", get(book))
        .route("/books/{id}/price", get(price))
        .route("/profile", get(profile))
        .layer(timing);

    let address = std::env::var("LISTEN");
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, routes).await?)
}

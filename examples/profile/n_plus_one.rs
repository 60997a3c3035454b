//! Which route of an axum service runs one query for each row, and does the cure work?
//!
//! `cargo run --example profile_n_plus_one`

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::routing::get;
use perfkit::core::Dialect;
use perfkit::profile::{Profiler, Rule, TimingLayer};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{FromRow, Row};
use std::time::Duration;
use tower::ServiceExt;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

const TABLES: &str = "
    CREATE TABLE planes (tailnum TEXT PRIMARY KEY, model TEXT);
    CREATE TABLE flights (id INTEGER PRIMARY KEY, tailnum TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        INSERT INTO planes SELECT 'N' || i, 'A320' FROM n;
    INSERT INTO flights (tailnum) SELECT tailnum FROM planes;";

#[derive(FromRow)]
struct Plane {
    model: String,
}

/// One query for the flights, and one more for the plane of each.
async fn one_by_one(State(pool): State<SqlitePool>) -> String {
    let flights = sqlx::query("SELECT tailnum FROM flights").fetch_all(&pool);
    let mut text = String::new();
    for flight in flights.await.expect("the table is there") {
        let plane = sqlx::query_as("SELECT model FROM planes WHERE tailnum = ?");
        let plane: Plane = plane
            .bind(flight.get::<String, _>(0))
            .fetch_one(&pool)
            .await
            .expect("each flight has a plane");
        text.push_str(&plane.model);
    }
    text
}

/// The same in one query.
async fn joined(State(pool): State<SqlitePool>) -> String {
    let planes = sqlx::query_as("SELECT model FROM flights JOIN planes USING (tailnum)");
    let planes: Vec<Plane> = planes.fetch_all(&pool).await.expect("the tables are there");
    planes.into_iter().map(|plane| plane.model).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let profiler = Profiler::builder().dialect(Dialect::Sqlite).build();
    tracing_subscriber::registry()
        .with(profiler.sql_layer())
        .init();
    profiler.verify()?;

    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await?;
    sqlx::raw_sql(TABLES).execute(&pool).await?;
    let service = Router::new()
        .route("/one-by-one", get(one_by_one))
        .route("/joined", get(joined))
        .with_state(pool)
        .layer(TimingLayer::new(&profiler));

    for path in ["/one-by-one", "/joined"] {
        let request = Request::get(path).body(Body::empty())?;
        let response = service.clone().oneshot(request).await?;
        axum::body::to_bytes(response.into_body(), 1 << 20).await?;
    }

    // A database driver may hold a request for a moment after its last row.
    profiler.settled(Duration::from_secs(5)).await;
    let snapshot = profiler.snapshot();
    println!("{snapshot}");
    let [finding] = snapshot.findings() else {
        anyhow::bail!("one route has an N+1, the other none");
    };
    anyhow::ensure!(finding.rule == Rule::NPlusOne && finding.request == "GET /one-by-one");
    anyhow::ensure!(finding.repeats == 20);
    Ok(())
}

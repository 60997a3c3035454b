use crate::demo::tell;
use crate::parts::get;
use axum::Router;
use perfkit::core::{Dialect, ManualClock, Registry};
use perfkit::endpoints::Endpoints;
use perfkit::profile::{Advisor, Profiler, RequestScope, SqlitePlanner};
use sqlx::sqlite::SqlitePoolOptions;
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::test]
async fn missing_indexes_are_findings_until_they_are_made() {
    let profiler = Profiler::builder().dialect(Dialect::Sqlite).build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await;
    let pool = pool.expect("SQLite is linked");
    let table = "CREATE TABLE flights (id INTEGER PRIMARY KEY, origin TEXT)";
    sqlx::query(table).execute(&pool).await.expect("valid");
    let indexed = "SELECT origin FROM flights WHERE id = ?";
    for query in ["SELECT id FROM flights WHERE origin = ?", indexed] {
        let asked = async { tell(&ManualClock::new(), query, 1, Duration::from_millis(3)) };
        RequestScope::new("GET /flights").run(asked).await;
    }
    assert!(profiler.settled(Duration::from_secs(30)).await);

    let endpoints = Endpoints::builder(&Registry::new())
        .profiler(&profiler)
        .build();
    let router: Router = endpoints.router();
    let advisor = || Advisor::new(SqlitePlanner::new(pool.clone()));
    assert_eq!(endpoints.advise(&advisor()).await, 1);
    let findings = get(&router, "/performance/stats").await.json()["findings"].clone();
    let found = findings
        .as_array()
        .expect("a list")
        .iter()
        .find(|found| found["rule"] == "Missing index");
    let found = found.expect("it is there");
    assert_eq!(
        found["statement"],
        "SELECT id FROM flights WHERE origin = ?"
    );
    let ddl = r#"CREATE INDEX "flights_origin" ON "flights" ("origin")"#;
    assert_eq!(found["cure"], ddl);

    sqlx::query(ddl)
        .execute(&pool)
        .await
        .expect("it can be run as it stands");
    assert_eq!(endpoints.advise(&advisor()).await, 0);
    let findings = get(&router, "/performance/stats").await.json()["findings"].clone();
    assert!(
        !findings.to_string().contains("Missing index"),
        "{findings}"
    );
}

#[tokio::test]
async fn without_a_profiler_there_is_nothing_to_ask_about() {
    let endpoints = Endpoints::builder(&Registry::new()).build();
    let pool = SqlitePoolOptions::new()
        .connect_lazy("sqlite::memory:")
        .expect("a URL");
    assert_eq!(
        endpoints
            .advise(&Advisor::new(SqlitePlanner::new(pool)))
            .await,
        0
    );
}

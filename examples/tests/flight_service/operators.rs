//! What those see and may do who look after the service.

use crate::alone::lines;
use crate::client::{Answer, ask, get};
use crate::instance::{Instance, data};
use hyper::Method;
use perf_testkit::PostgresServer;
use perfkit::core::{Clock as _, SystemClock};
use serde_json::Value;
use sqlx::postgres::PgPool;
use std::net::SocketAddr;
use std::time::Duration;

const RESET: &str = "/performance/actions/profiler/flight_service/reset";
/// Nobody who gave their token waits longer for advice on this machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn act(at: SocketAddr, token: Option<&str>) -> Answer {
    let act = ask(at, Method::POST, RESET).header("x-perfkit-action", "yes");
    let act = match token {
        Some(token) => act.header("authorization", &format!("Bearer {token}")),
        None => act,
    };
    act.answer().await
}

async fn stats(at: SocketAddr) -> Value {
    let stats = get(at, "/performance/stats").answer().await;
    stats.expect(200).json()
}

#[tokio::test]
async fn who_knows_the_token_may_act_and_nobody_else() {
    let folder = data();
    let data = ["--data", folder.path().to_str().unwrap()];
    let closed = Instance::start(&data);
    act(closed.address, None).await.expect(404);
    act(closed.address, Some("")).await.expect(404);

    let open = Instance::start(&[&data[..], &["--operator-token", "4711"]].concat());
    let at = open.address;
    get(at, "/ping").answer().await.expect(200);
    let is_known = async || stats(at).await["routes"].to_string().contains("GET /ping");
    assert!(is_known().await);
    act(at, None).await.expect(403);
    act(at, Some("4712")).await.expect(403);
    act(at, Some("")).await.expect(403);
    // As a page of another site could send it at most.
    let forged = ask(at, Method::POST, RESET).header("authorization", "Bearer 4711");
    forged.answer().await.expect(403);
    assert!(is_known().await);
    act(at, Some("4711")).await.expect(204);
    assert!(!is_known().await);
}

/// Asks for flights by columns without an index, and waits until one is advised.
async fn is_advised(instance: &Instance) {
    let at = instance.address;
    let import = ask(at, Method::PUT, "/imports/many").json(lines(0..20_000));
    import.within(PATIENCE).answer().await.expect(200);
    let path = "/flights?filter[origin]=EWR&size=3&sort=-dep_delay";
    get(at, path).answer().await.expect(200);
    get(at, "/flights?filter[origin]=LGA&size=3")
        .answer()
        .await
        .expect(200);
    let begun = SystemClock.now();
    loop {
        let stats = stats(at).await;
        let findings = stats["findings"].as_array().unwrap();
        let missing = |found: &Value| {
            let cure = found["cure"].as_str().unwrap();
            found["rule"] == "Missing index" && cure.contains(r#"ON "flights" ("origin""#)
        };
        if findings.iter().any(missing) {
            let queries = stats["queries"].to_string();
            assert!(
                queries.contains("flights") && !queries.contains("perf_advice"),
                "{queries}"
            );
            break;
        }
        assert!(SystemClock.now().since(begun) < PATIENCE, "{stats}");
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_missing_index_is_shown_on_sqlite() {
    let folder = data();
    let data = folder.path().to_str().unwrap();
    is_advised(&Instance::start(&[
        "--data",
        data,
        "--advise-every",
        "200ms",
    ]))
    .await;
}

#[tokio::test]
async fn a_missing_index_is_shown_on_postgres() {
    let postgres = PostgresServer::shared().unwrap();
    let url = postgres.database().unwrap().url();
    let pool = PgPool::connect(&url).await.unwrap();
    sqlx::query("CREATE EXTENSION hypopg")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let folder = data();
    let data = folder.path().to_str().unwrap();
    let every = ["--advise-every", "200ms", "--database-url", &url];
    is_advised(&Instance::start(&[&["--data", data], &every[..]].concat())).await;
}

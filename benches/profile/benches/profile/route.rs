//! A route with SQLite queries over HTTP, profiled and not.
//!
//! Each alternative runs in processes of its own, in turns: a process has one global subscriber.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use criterion::Criterion;
use perf_profile::{Profiler, TimingLayer, profile};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Row};
use std::env;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const MODE: &str = "PERF_PROFILE_ROUTE";
const CLIENTS: usize = 4;
const REQUEST: &[u8] = b"GET /flights HTTP/1.1\r\nhost: localhost\r\n\r\n";
const END: &[u8] = b"the end";

pub(crate) fn throughput(_: &mut Criterion) {
    compare("profile/route_throughput/axum_sqlite/off", "layer");
    compare(
        "profile/route_throughput/axum_sqlite_executor/off",
        "executor",
    );
}

fn compare(id: &str, mode: &str) {
    if !harness::is_wanted(id) {
        return;
    }
    let rounds = if harness::is_quick() { 5 } else { 15 };
    let mut rounds: Vec<_> = (0..rounds).map(|_| (rate(mode), rate("off"))).collect();
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (ours, off) = rounds[rounds.len() / 2];
    harness::record_rate(id, ours, off, "requests/s");
}

fn rate(mode: &str) -> f64 {
    let mut child = Command::new(env::current_exe().expect("this program"));
    let output = child.env(MODE, mode).output().expect("it can be started");
    let text = String::from_utf8(output.stdout).expect("a number");
    text.trim().parse().expect("a number")
}

pub(crate) fn is_child() -> bool {
    env::var_os(MODE).is_some()
}

#[derive(Clone)]
struct Service {
    pool: SqlitePool,
    /// Where queries go through an executor instead of a layer.
    executor: Option<Profiler>,
}

async fn flights(State(service): State<Service>) -> Vec<u8> {
    let late = "SELECT id, tailnum, delay FROM flights WHERE delay > ? ORDER BY id LIMIT 20";
    let late = sqlx::query(late).bind(30);
    let count = sqlx::query("SELECT count(*) FROM flights WHERE delay > ?").bind(30);
    let Service { pool, executor } = &service;
    let (rows, count) = match executor {
        Some(profiler) => (
            late.fetch_all(profiler.executor(pool)).await,
            count.fetch_one(profiler.executor(pool)).await,
        ),
        None => (late.fetch_all(pool).await, count.fetch_one(pool).await),
    };
    let rows = rows.expect("the query is valid");
    assert_eq!(rows.len(), 20);
    assert_eq!(count.expect("the query is valid").get::<i64, _>(0), 690);
    let mut text = String::new();
    for row in rows {
        text.push_str(&row.get::<String, _>(1));
    }
    let mut body = text.into_bytes();
    body.extend(END);
    body
}

#[profile(name = "flights")]
async fn profiled_flights(state: State<Service>) -> Vec<u8> {
    flights(state).await
}

async fn database(logged: bool) -> SqlitePool {
    let options = SqliteConnectOptions::new().in_memory(true);
    let options = if logged {
        options
    } else {
        options.disable_statement_logging()
    };
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options);
    let pool = pool.await.expect("in memory");
    let tables = "CREATE TABLE flights (id INTEGER PRIMARY KEY, tailnum TEXT, delay INTEGER);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO flights SELECT i, 'N' || i, i % 100 FROM n";
    sqlx::raw_sql(tables).execute(&pool).await.expect("valid");
    pool
}

/// Serves and sends requests in one process, and prints their rate.
pub(crate) fn serve() {
    let mode = env::var(MODE).expect("asked before");
    let requests = if env::var_os("PERF_BENCH_QUICK").is_some() {
        500
    } else {
        1_500
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rate = runtime.block_on(async {
        let profiler = Profiler::builder()
            .dialect(perf_core::Dialect::Sqlite)
            .build();
        let router = match mode.as_str() {
            "off" => {
                profiler.pause();
                let service = Service {
                    pool: database(true).await,
                    executor: None,
                };
                Router::new()
                    .route("/flights", get(flights))
                    .with_state(service)
            }
            "layer" => {
                tracing_subscriber::registry()
                    .with(profiler.sql_layer())
                    .init();
                let service = Service {
                    pool: database(true).await,
                    executor: None,
                };
                let route = Router::new().route("/flights", get(profiled_flights));
                route.with_state(service).layer(TimingLayer::new(&profiler))
            }
            _ => {
                tracing_subscriber::registry()
                    .with(profiler.sql_layer())
                    .init();
                let executor = Some(profiler.clone());
                let service = Service {
                    pool: database(false).await,
                    executor,
                };
                let route = Router::new().route("/flights", get(profiled_flights));
                route.with_state(service).layer(TimingLayer::new(&profiler))
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, router).await });
        send(address, requests / 5).await;
        let elapsed = send(address, requests).await;
        check(&mode, &profiler, (requests + requests / 5) * CLIENTS);
        (requests * CLIENTS) as f64 / elapsed.as_secs_f64()
    });
    println!("{rate}");
}

async fn send(address: std::net::SocketAddr, requests: usize) -> Duration {
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(address, requests)))
        .collect();
    for client in clients {
        client.await.expect("it ends");
    }
    start.elapsed()
}

async fn client(address: std::net::SocketAddr, requests: usize) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.set_nodelay(true).expect("TCP");
    let mut response = Vec::new();
    for _ in 0..requests {
        stream.write_all(REQUEST).await.expect("open");
        response.clear();
        while !response.ends_with(END) {
            assert!(stream.read_buf(&mut response).await.expect("open") > 0);
        }
    }
}

/// Everything must have been seen, or nothing.
fn check(mode: &str, profiler: &Profiler, requests: usize) {
    let snapshot = profiler.snapshot();
    let seen: u64 = snapshot
        .requests()
        .iter()
        .map(|request| request.requests)
        .sum();
    let expected = if mode == "off" { 0 } else { requests as u64 };
    // The last few may be ending still.
    assert!(
        seen <= expected && seen + 10 * CLIENTS as u64 >= expected,
        "{seen} of {expected}"
    );
    let queries = snapshot.queries().iter().map(|query| query.count).max();
    assert!(queries.unwrap_or(0) >= seen, "{queries:?}");
}

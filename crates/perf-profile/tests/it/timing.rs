use crate::support::{pools, profiler, settle};
use http_body_util::{BodyExt, Empty, StreamBody};
use perf_core::ManualClock;
use perf_profile::{Profiler, RequestStats, TimingLayer};
use sqlx::Executor;
use std::convert::Infallible;
use std::time::Duration;
use tower::{Layer, ServiceExt, service_fn};

type Request = http::Request<Empty<&'static [u8]>>;
type Response = http::Response<Empty<&'static [u8]>>;

fn get(path: &str) -> Request {
    http::Request::get(path).body(Empty::new()).unwrap()
}

fn ended(name: &str) -> Option<RequestStats> {
    profiler()
        .snapshot()
        .requests()
        .iter()
        .find(|request| request.name == name)
        .cloned()
}

#[tokio::test]
async fn headers_tell_the_time_to_the_head() {
    let clock = ManualClock::new();
    let profiler = Profiler::builder().clock(clock.clone()).build();
    let service = service_fn(|_: Request| async {
        clock.advance(Duration::from_micros(12_345));
        Ok::<_, Infallible>(Response::new(Empty::new()))
    });
    let timed = TimingLayer::new(&profiler)
        .with_headers()
        .with_server_timing();
    let response = timed.layer(service).oneshot(get("/")).await.unwrap();
    assert_eq!(response.headers()["x-process-time"], "0.012345");
    assert_eq!(response.headers()["x-response-time"], "12.345ms");
    assert_eq!(response.headers()["server-timing"], "app;dur=12.345");

    let silent = TimingLayer::new(&profiler)
        .layer(service)
        .oneshot(get("/"))
        .await
        .unwrap();
    assert!(silent.headers().is_empty());
}

#[tokio::test]
async fn queries_of_a_streamed_body_belong_to_the_request() {
    profiler();
    let pool = pools::sqlite(1).await;
    let service = service_fn(|_: Request| async {
        pool.fetch_one("SELECT 1 AS head").await.unwrap();
        let frames = futures_util::stream::iter(0..3).then(|_| async {
            pool.fetch_one("SELECT 1 AS body").await.unwrap();
            Ok::<_, Infallible>(http_body::Frame::data(&b"x"[..]))
        });
        Ok::<_, Infallible>(http::Response::new(StreamBody::new(Box::pin(frames))))
    });
    use futures_util::StreamExt as _;
    let response = TimingLayer::new(profiler())
        .layer(service)
        .oneshot(get("/streamed"))
        .await
        .unwrap();
    assert!(
        ended("GET /streamed").is_none(),
        "the body has not been read"
    );
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "xxx"
    );
    settle().await;
    let stats = ended("GET /streamed").unwrap();
    assert_eq!((stats.requests, stats.queries), (1, 4));
}

#[tokio::test]
async fn a_request_ends_with_its_body_however_that_ends() {
    profiler();
    let service = service_fn(|request: Request| async move {
        match request.uri().path() {
            "/fails" => Err("failure"),
            _ => Ok(Response::new(Empty::new())),
        }
    });
    let timed = TimingLayer::new(profiler())
        .name_by(|parts| format!("ends {}", parts.uri))
        .layer(service);
    drop(timed.clone().oneshot(get("/empty")).await.unwrap());
    assert_eq!(
        timed.clone().oneshot(get("/fails")).await.unwrap_err(),
        "failure"
    );
    drop(timed.clone().oneshot(get("/never-polled")));
    for name in ["ends /empty", "ends /fails"] {
        assert_eq!(ended(name).map(|stats| stats.requests), Some(1), "{name}");
    }
}

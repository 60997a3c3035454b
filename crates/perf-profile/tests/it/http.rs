//! The HTTP target and the webhook against a real server on loopback.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use parking_lot::Mutex;
use perf_profile::{
    HttpTarget, HttpTargetError, Level, LoadTest, Objective, ProfileError, SloMonitor, Target,
    WebhookAlerts,
};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

fn target(url: &str, path: &str) -> HttpTarget {
    HttpTarget::get(format!("{url}{path}").parse().unwrap()).unwrap()
}

fn users(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_read_and_counted() {
    let served = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&served);
    let answer = move || {
        let number = counter.fetch_add(1, Relaxed);
        async move {
            if number % 10 == 9 {
                Err(StatusCode::SERVICE_UNAVAILABLE)
            } else {
                Ok("0123456789")
            }
        }
    };
    let url = serve(Router::new().route("/", get(answer))).await;
    let target = target(&url, "/?a=b");
    let test = LoadTest::closed(users(4), Duration::from_secs(60))
        .unwrap()
        .max_requests(1_000);
    let report = test.run(target.clone()).await.unwrap();
    assert_eq!(
        (report.succeeded, report.failures["status 503"]),
        (900, 100)
    );
    assert_eq!(
        (served.load(Relaxed), target.received_bytes()),
        (1_000, 9_000)
    );
}

/// Answers one request on each connection, then closes it without saying so.
async fn forgetful() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut stream, _peer) = listener.accept().await.unwrap();
            counter.fetch_add(1, Relaxed);
            tokio::spawn(async move {
                let mut request = [0; 1_024];
                if stream.read(&mut request).await.unwrap() > 0 {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                        .await
                        .unwrap();
                }
            });
        }
    });
    (url, accepted)
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_no_failure() {
    let (url, accepted) = forgetful().await;
    let target = target(&url, "/");
    for number in 0..20 {
        target.send(number).await.unwrap();
        // Lets the client see the end of the stream, or not: either way must do.
        if number % 2 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(accepted.load(Relaxed), 20);
}

#[tokio::test]
async fn an_answer_cut_short_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _peer) = listener.accept().await.unwrap();
        let mut request = [0; 1_024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok")
            .await
            .unwrap();
    });
    let failed = target(&url, "/").send(0).await;
    assert!(
        matches!(failed, Err(HttpTargetError::Exchange(_))),
        "{failed:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_said_before_any_load() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let test = LoadTest::closed(users(1), Duration::from_secs(60)).unwrap();
    let refused = test.run(target(&url, "/")).await;
    assert!(
        matches!(refused, Err(ProfileError::TargetUnreachable { .. })),
        "{refused:?}"
    );
}

#[test]
fn urls_that_cannot_be_reached_are_refused() {
    for url in [
        "/path",
        "https://127.0.0.1/",
        "ftp://127.0.0.1/",
        "example.test:80",
    ] {
        let refused = HttpTarget::get(url.parse().unwrap()).unwrap_err();
        assert_eq!(refused, HttpTargetError::UnsupportedUrl, "{url}");
        assert!(WebhookAlerts::new(url.parse().unwrap()).is_err(), "{url}");
    }
}

#[tokio::test]
async fn an_alert_reaches_its_webhook() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let hook = post(move |body: String| {
        kept.lock().push(body);
        async { StatusCode::NO_CONTENT }
    });
    let url = serve(Router::new().route("/hook", hook)).await;
    let webhook = WebhookAlerts::new(format!("{url}/hook").parse().unwrap()).unwrap();
    let builder = SloMonitor::builder("api").objectives(Objective::web_service());
    let monitor = builder.sink(webhook).build();
    monitor.record(Duration::from_millis(200), false);
    monitor.check().await;
    monitor.check().await;
    assert_eq!(monitor.level(), Level::Missed);
    let body: serde_json::Value = serde_json::from_str(&bodies.lock()[0]).unwrap();
    assert_eq!(
        (&body["monitor"], &body["to"]),
        (&"api".into(), &"missed".into())
    );
}

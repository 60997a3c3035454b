//! A server that stands still now and then, and what theory says that its clients wait.

use crate::support::{run, serve};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use perf_core::{Clock, Moment, SystemClock};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(1_500);
/// The first part of each period, in which nobody is answered.
const STALL: Duration = Duration::from_millis(500);
/// Twice the period.
const LOAD: [&str; 6] = ["--rate", "200", "--duration", "3s", "--warm-up", "0s"];

/// Answers at once, or at the end of the stall that the request came in. Periods begin with the first request.
async fn answer(State(first): State<Arc<OnceLock<Moment>>>) -> &'static str {
    let now = SystemClock.now();
    let elapsed = now.since(*first.get_or_init(|| now)).as_nanos() % PERIOD.as_nanos();
    let elapsed = Duration::from_nanos(u64::try_from(elapsed).unwrap());
    if elapsed < STALL {
        SystemClock.sleep(STALL - elapsed).await;
    }
    "ok"
}

fn serve_stalling() -> String {
    let router = Router::new().route("/", get(answer));
    serve(router.with_state(Arc::default()))
}

/// A third of all requests come during a stall and wait evenly between nothing and all of it, so that of all requests
/// one in twenty waits 0.425 s at least, and one in a hundred 0.485 s. A machine that is busy makes them wait longer and
/// never less, so that only a generator that leaves waits out can come out below.
#[test]
fn everybody_who_would_have_waited_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve_stalling();
    let ran = run(
        folder.path(),
        &[&["http", &url, "--format", "json"], &LOAD[..]].concat(),
    );
    let json: Value = serde_json::from_str(ran.succeeds()).unwrap();
    let told = &json["runs"][0];
    assert_eq!(told["succeeded"], 600, "{told}");
    let share = STALL.as_secs_f64() / PERIOD.as_secs_f64();
    for (name, quantile) in [("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
        let theory = STALL.as_secs_f64() * (1.0 - (1.0 - quantile) / share);
        let latency = told["latency_seconds"][name].as_f64().unwrap();
        // Buckets are 3 % wide, and there are few requests.
        assert!(
            latency >= theory * 0.9,
            "{name}: {latency}, theory {theory}"
        );
    }
}

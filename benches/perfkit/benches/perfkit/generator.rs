//! Our load generator against wrk, on the same server in turns.
//!
//! Where a route does some work, both must find the same throughput. On one that does none the generator that takes
//! less of the machine itself leaves more of it to the server; that figure is shown as well.

use crate::server::{FRESH, Server, median, rounds};
use criterion::Criterion;
use std::process::Command;
use std::time::Duration;

const USERS: usize = 16;
const WORKING: &str = "perfkit/load_throughput/loopback/wrk";
const TRIVIAL: &str = "perfkit/load_throughput/trivial_route/wrk";

pub(crate) fn against_wrk(_: &mut Criterion) {
    if ![WORKING, TRIVIAL].into_iter().any(harness::is_wanted) {
        return;
    }
    if Command::new("wrk").arg("--version").output().is_err() {
        eprintln!("{WORKING}: not measured, wrk is not installed: cargo xtask setup");
        return;
    }
    let server = Server::flights(&FRESH);
    compare(&server, WORKING, "/flights?size=100");
    compare(&server, TRIVIAL, "/ping");
}

fn compare(server: &Server, id: &str, path: &str) {
    let (rounds, length) = rounds();
    let pairs = (0..rounds)
        .map(|_| {
            let ours = server.load(path, USERS, length.max(Duration::from_secs(1)));
            (ours.throughput(), wrk(&server.url(path), length))
        })
        .collect();
    let (ours, peer) = median(pairs);
    harness::record_rate(id, ours, peer, "requests/s");
}

/// The requests a second that wrk reports.
fn wrk(url: &str, length: Duration) -> f64 {
    // It takes whole seconds.
    let seconds = format!("{}s", length.as_secs().max(1));
    let connections = USERS.to_string();
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c", &connections, "-d", &seconds, url]);
    let output = wrk.output().expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "{text}");
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

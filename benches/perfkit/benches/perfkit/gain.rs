//! The naive variant of a route against ours, and a deep page against the first.

use crate::is_wanted;
use crate::server::{Server, median, rounds};
use criterion::Criterion;
use perf_testkit::PostgresServer;

const USERS: usize = 8;
/// How many pages deep the deep page is, of 270.
const DEEP: usize = 260;

pub(crate) fn on_sqlite(_: &mut Criterion) {
    compare("sqlite", || (Server::flights(&[]), None));
}

pub(crate) fn on_postgres(_: &mut Criterion) {
    compare("postgres", || {
        let postgres = PostgresServer::start().expect("cargo xtask setup has installed it");
        let url = postgres.database().expect("a database").url();
        (Server::flights(&["--database-url", &url]), Some(postgres))
    });
}

fn compare(engine: &str, start: impl FnOnce() -> (Server, Option<PostgresServer>)) {
    let id = |what: &str, peer: &str| format!("perfkit/{what}/{engine}/{peer}");
    let list = id("n_plus_one_list", "naive");
    let aggregate = id("cached_aggregate", "naive");
    let depth = id("page_depth", "first_page");
    if !is_wanted(&[&list, &aggregate, &depth]) {
        return;
    }
    let (server, _database) = start();
    let (ours, naive) = ("/flights?size=100", "/naive/flights");
    assert_eq!(server.json(ours)["items"], server.json(naive)["items"]);
    rate(&server, &list, ours, naive);
    let (ours, naive) = ("/carriers", "/naive/carriers");
    assert_eq!(server.json(ours), server.json(naive));
    rate(&server, &aggregate, ours, naive);
    rate(
        &server,
        &depth,
        &deep(&server),
        "/flights?sort=-dep_delay&size=100",
    );
}

/// Takes turns and records the ratio of the throughputs.
fn rate(server: &Server, id: &str, ours: &str, peer: &str) {
    let (rounds, length) = rounds();
    let rate = |path: &str| server.load(path, USERS, length).throughput();
    let pairs = (0..rounds).map(|_| (rate(ours), rate(peer))).collect();
    let (ours, peer) = median(pairs);
    harness::record_rate(id, ours, peer, "requests/s");
}

/// The path of a page far behind the first.
fn deep(server: &Server) -> String {
    let first = "/flights?sort=-dep_delay&size=100".to_owned();
    let mut path = first.clone();
    for _ in 0..DEEP {
        let page = server.json(&path);
        let cursor = page["page_info"]["next"].as_str().expect("more pages");
        path = format!("{first}&cursor={cursor}");
    }
    assert_eq!(
        server.json(&path)["items"].as_array().map(Vec::len),
        Some(100)
    );
    path
}

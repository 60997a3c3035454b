//! The naive variant of a route against ours, and a deep page against the first.
//!
//! Ours keeps the answers to the list, as long as nobody writes. What is left of the gain where each answer is made anew
//! is measured as well.

use crate::server::{FRESH, Server, record, rounds};
use criterion::Criterion;
use perf_testkit::PostgresServer;

const USERS: usize = 8;
/// How many pages deep the deep page is, of 270.
const DEEP: usize = 260;
const LIST: &str = "/flights?size=100";
const SORTED: &str = "/flights?sort=-dep_delay&size=100";

pub(crate) fn on_sqlite(_: &mut Criterion) {
    compare("sqlite", || (Vec::new(), None));
}

pub(crate) fn on_postgres(_: &mut Criterion) {
    compare("postgres", || {
        let postgres = PostgresServer::start().expect("cargo xtask setup has installed it");
        let url = postgres.database().expect("a database").url();
        (vec!["--database-url".to_owned(), url], Some(postgres))
    });
}

fn compare(engine: &str, start: impl FnOnce() -> (Vec<String>, Option<PostgresServer>)) {
    let id = |what: &str, peer: &str| format!("perfkit/{what}/{engine}/{peer}");
    let list = id("n_plus_one_list", "naive");
    let made_anew = id("n_plus_one_list_made_anew", "naive");
    let aggregate = id("cached_aggregate", "naive");
    let depth = id("page_depth", "first_page");
    let ids = [&list, &made_anew, &aggregate, &depth];
    let wanted = ids.map(|id| crate::is_wanted(id));
    if wanted == [false; 4] {
        return;
    }
    let (arguments, _database) = start();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = Server::flights(&arguments);
    let fresh = Server::flights(&[&arguments, &FRESH[..]].concat());
    let naive = "/naive/flights";
    for server in [&server, &fresh] {
        assert_eq!(server.json(LIST)["items"], server.json(naive)["items"]);
    }
    let (figures, naive_figures) = ("/carriers", "/naive/carriers");
    assert_eq!(server.json(figures), server.json(naive_figures));
    let deep = deep(&fresh);
    for (id, server, ours, peer) in [
        (&list, &server, LIST, naive),
        (&made_anew, &fresh, LIST, naive),
        (&aggregate, &server, figures, naive_figures),
        (&depth, &fresh, &*deep, SORTED),
    ] {
        if crate::is_wanted(id) {
            take_turns(server, id, ours, peer);
        }
    }
}

fn take_turns(server: &Server, id: &str, ours: &str, peer: &str) {
    let (rounds, length) = rounds();
    let load = |path: &str| server.load(path, USERS, length);
    let rounds: Vec<_> = (0..rounds).map(|_| (load(ours), load(peer))).collect();
    record(id, &rounds);
}

/// The path of a page far behind the first.
fn deep(server: &Server) -> String {
    let mut path = SORTED.to_owned();
    for _ in 0..DEEP {
        let page = server.json(&path);
        let cursor = page["page_info"]["next"].as_str().expect("more pages");
        path = format!("{SORTED}&cursor={cursor}");
    }
    assert_eq!(
        server.json(&path)["items"].as_array().map(Vec::len),
        Some(100)
    );
    path
}

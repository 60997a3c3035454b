//! A route that does nothing, behind everything that the service has and behind nothing.

use crate::is_wanted;
use crate::server::{Server, median, rounds};
use criterion::Criterion;
use perfkit::profile::LoadReport;

const USERS: usize = 16;
const THROUGHPUT: &str = "perfkit/trivial_route/everything_on/bare_axum";
const P99: &str = "perfkit/trivial_route_p99/everything_on/bare_axum";

pub(crate) fn everything_on(_: &mut Criterion) {
    if !is_wanted(&[THROUGHPUT, P99]) {
        return;
    }
    let (service, bare) = (Server::flights(&[]), Server::bare());
    let (rounds, length) = rounds();
    let pairs: Vec<_> = (0..rounds)
        .map(|_| {
            let load = |server: &Server| server.load("/ping", USERS, length);
            (load(&service), load(&bare))
        })
        .collect();
    let of = |figure: fn(&LoadReport) -> f64| {
        let pairs = pairs
            .iter()
            .map(|(service, bare)| (figure(service), figure(bare)));
        median(pairs.collect())
    };
    let (ours, peer) = of(LoadReport::throughput);
    harness::record_rate(THROUGHPUT, ours, peer, "requests/s");
    let (ours, peer) = of(|report| report.service.summary().p99.as_secs_f64() * 1e6);
    harness::record(P99, ours, peer, "us");
}

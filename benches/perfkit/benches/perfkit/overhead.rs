//! A route that does nothing, behind everything that the service has and behind nothing.

use crate::server::{Server, record, rounds};
use criterion::Criterion;

const USERS: usize = 16;
const ID: &str = "perfkit/trivial_route/everything_on/bare_axum";

pub(crate) fn everything_on(_: &mut Criterion) {
    if !crate::is_wanted(ID) {
        return;
    }
    let (service, bare) = (Server::flights(&[]), Server::bare());
    let (rounds, length) = rounds();
    let load = |server: &Server| server.load("/ping", USERS, length);
    let rounds: Vec<_> = (0..rounds).map(|_| (load(&service), load(&bare))).collect();
    record(ID, &rounds);
}

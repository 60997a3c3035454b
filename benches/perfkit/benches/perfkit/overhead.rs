//! A route that does nothing, behind everything that the service has, behind each part of it, and behind nothing.

use crate::layers::BARE;
use crate::server::{Server, record, rounds};
use criterion::Criterion;

const USERS: usize = 16;

/// The service as it is.
pub(crate) fn of_all(_: &mut Criterion) {
    compare("everything_on", || Server::flights(&[]));
}

/// One layer at a time, and what others are made of that do the same.
pub(crate) fn of_each(_: &mut Criterion) {
    for layers in crate::layers::KINDS {
        compare(layers, || Server::trivial(layers));
    }
}

fn compare(what: &str, start: impl FnOnce() -> Server) {
    let id = format!("perfkit/trivial_route/{what}/bare_axum");
    if !crate::is_wanted(&id) {
        return;
    }
    let (server, bare) = (start(), Server::trivial(BARE));
    let (rounds, length) = rounds();
    let load = |server: &Server| server.load("/ping", USERS, length);
    let rounds: Vec<_> = (0..rounds).map(|_| (load(&server), load(&bare))).collect();
    record(&id, &rounds);
}

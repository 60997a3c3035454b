use super::faults::Direction;
use std::ops::Sub;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What has passed a proxy. The difference of two is what passed between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections accepted, those that were lost included.
    pub connections: u64,
    /// Bytes handed on to the server.
    pub bytes_to_server: u64,
    /// Bytes handed on to the client.
    pub bytes_to_client: u64,
    /// Bursts of a client that the server has begun to answer, as the [module](crate::proxy) defines them.
    pub round_trips: u64,
}

impl Sub for Traffic {
    type Output = Self;

    /// What passed between the earlier `before` and this.
    ///
    /// # Panics
    ///
    /// When `before` is the later one.
    fn sub(self, before: Self) -> Self {
        Self {
            connections: self.connections - before.connections,
            bytes_to_server: self.bytes_to_server - before.bytes_to_server,
            bytes_to_client: self.bytes_to_client - before.bytes_to_client,
            round_trips: self.round_trips - before.round_trips,
        }
    }
}

/// The counters behind [`Traffic`], written by the proxy's thread alone.
#[derive(Debug, Default)]
pub(super) struct Tally {
    connections: AtomicU64,
    open: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
    round_trips: AtomicU64,
}

impl Tally {
    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            connections: self.connections.load(Ordering::Acquire),
            bytes_to_server: self.bytes_to_server.load(Ordering::Acquire),
            bytes_to_client: self.bytes_to_client.load(Ordering::Acquire),
            round_trips: self.round_trips.load(Ordering::Acquire),
        }
    }

    pub(super) fn open_connections(&self) -> u64 {
        self.open.load(Ordering::Acquire)
    }

    /// Counts a connection and returns how many came before it.
    pub(super) fn connected(&self) -> u64 {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.connections.fetch_add(1, Ordering::AcqRel)
    }

    pub(super) fn disconnected(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts a chunk of one connection, where `asked` tells whether a burst of the client is unanswered.
    pub(super) fn passed(&self, direction: Direction, bytes: usize, asked: &AtomicBool) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match direction {
            Direction::ToServer => {
                self.bytes_to_server.fetch_add(bytes, Ordering::AcqRel);
                asked.store(true, Ordering::Release);
            }
            Direction::ToClient => {
                self.bytes_to_client.fetch_add(bytes, Ordering::AcqRel);
                if asked.swap(false, Ordering::AcqRel) {
                    self.round_trips.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }
}

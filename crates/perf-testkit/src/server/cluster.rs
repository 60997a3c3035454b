use super::shared::Shared;
use super::{RedisServer, process};
use crate::{Error, port};
use std::net::SocketAddr;
use std::time::Duration;

/// Redis divides its keys into this many slots.
const SLOTS: usize = 16_384;
const NODES: usize = 3;
const AGREED_WITHIN: Duration = Duration::from_secs(30);

/// Three Redis masters without replicas that share the key slots.
///
/// ```
/// use perf_testkit::RedisCluster;
///
/// let cluster = RedisCluster::shared()?;
/// assert_eq!(cluster.urls().len(), 3);
/// # Ok::<(), perf_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// The cluster of this test process, started on first use.
    ///
    /// # Errors
    ///
    /// As [`RedisCluster::start`].
    pub fn shared() -> Result<&'static Self, Error> {
        static SHARED: Shared<RedisCluster> = Shared::new();
        SHARED.start_once(Self::start)
    }

    /// A cluster of the test's own, which ends with this value. Returns when all nodes serve all slots.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`], and [`Error::Refused`] when a node does not join.
    pub fn start() -> Result<Self, Error> {
        let buses = (0..NODES)
            .map(|_| port::free_address())
            .collect::<Result<Vec<_>, _>>()?;
        let nodes = buses.iter().map(start_node).collect::<Result<_, _>>()?;
        let cluster = Self { nodes };
        cluster.assign_slots()?;
        cluster.introduce(buses[0])?;
        let agreed = || cluster.nodes.iter().all(serves_all_slots);
        if process::wait_until(AGREED_WITHIN, agreed) {
            return Ok(cluster);
        }
        Err(Error::NotReady {
            server: "the Redis cluster",
            log: cluster.nodes[0].ask(&["CLUSTER", "INFO"])?,
        })
    }

    /// The nodes, in the order of their slots. Each can be killed, paused and restarted.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The URLs of all nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Has the nodes name these addresses to clients instead of their own: those of proxies before them.
    /// Returns when all nodes do.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::System`] when a node cannot be told, [`Error::NotReady`] when the others
    /// do not hear of it.
    pub fn announce(&self, addresses: &[SocketAddr]) -> Result<(), Error> {
        for (node, address) in self.nodes.iter().zip(addresses) {
            let port = address.port().to_string();
            node.ask(&["CONFIG", "SET", "cluster-announce-port", &port])?;
        }
        let names_all = |node: &RedisServer| {
            let nodes = node.ask(&["CLUSTER", "NODES"]).unwrap_or_default();
            let names = |address| nodes.contains(&format!("{address}@"));
            addresses.iter().all(names)
        };
        if process::wait_until(AGREED_WITHIN, || self.nodes.iter().all(names_all)) {
            return Ok(());
        }
        Err(Error::NotReady {
            server: "the Redis cluster",
            log: self.nodes[0].ask(&["CLUSTER", "NODES"])?,
        })
    }

    /// A key prefix that no other test of this process is given. It holds no hash tag.
    #[must_use]
    pub fn key_prefix(&self) -> String {
        self.nodes[0].key_prefix()
    }

    fn assign_slots(&self) -> Result<(), Error> {
        for (index, node) in self.nodes.iter().enumerate() {
            let first = (SLOTS * index / NODES).to_string();
            let last = (SLOTS * (index + 1) / NODES - 1).to_string();
            node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])?;
            // Distinct epochs from the start: nodes that share one must first settle who yields.
            let epoch = (index + 1).to_string();
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])?;
        }
        Ok(())
    }

    /// Makes the others known to the first node, whose gossip then makes them known to each other.
    fn introduce(&self, bus: SocketAddr) -> Result<(), Error> {
        let (first, others) = self.nodes.split_at(1);
        let address = first[0].address();
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let bus = bus.port().to_string();
        for other in others {
            other.ask(&["CLUSTER", "MEET", &ip, &port, &bus])?;
        }
        Ok(())
    }
}

fn start_node(bus: &SocketAddr) -> Result<RedisServer, Error> {
    let bus = bus.port().to_string();
    RedisServer::start_with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "5000",
    ])
}

fn serves_all_slots(node: &RedisServer) -> bool {
    let info = node.ask(&["CLUSTER", "INFO"]).unwrap_or_default();
    let has = |line: &str| info.lines().any(|found| found.trim_end() == line);
    has("cluster_state:ok") && has(&format!("cluster_known_nodes:{NODES}"))
}

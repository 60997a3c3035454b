//! Redis Cluster: whatever one script touches lies on one node.

use crate::support::{SECOND, fail};
use perf_breaker::{
    Charge, CircuitBreaker, FleetMember, RateLimitStore, RedisFleet, RedisStore, State, conformance,
};
use perf_testkit::RedisCluster;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisFuture, Value, cmd};
use std::collections::HashMap;
use std::sync::Arc;

/// A connection to each node. It asks any of them and goes where that one says: as much of a cluster's client
/// as it takes to be told of a key on the wrong node, or of keys on two.
#[derive(Clone)]
struct Routed {
    nodes: HashMap<String, MultiplexedConnection>,
}

impl Routed {
    async fn to(cluster: &RedisCluster) -> Self {
        let mut nodes = HashMap::new();
        for node in cluster.nodes() {
            let client = redis::Client::open(node.url()).unwrap();
            let connection = client.get_multiplexed_async_connection().await.unwrap();
            nodes.insert(node.address().to_string(), connection);
        }
        Self { nodes }
    }

    async fn keys_on_each_node(&mut self) -> Vec<u64> {
        let mut counts = Vec::new();
        for node in self.nodes.values_mut() {
            counts.push(cmd("DBSIZE").query_async(node).await.unwrap());
        }
        counts
    }
}

impl ConnectionLike for Routed {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let any = self.nodes.values_mut().next().expect("there are three");
            let reply = any.req_packed_command(command).await;
            let error = match reply.and_then(Value::extract_error) {
                Err(error) => error,
                reply => return reply,
            };
            let node = error.redirect_node();
            match node.and_then(|(address, _)| self.nodes.get_mut(address)) {
                Some(owner) => owner.req_packed_command(command).await,
                None => Err(error),
            }
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        unimplemented!("no store sends pipelines")
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_on_a_cluster_conform_and_spread() {
    let cluster = RedisCluster::shared().unwrap();
    let mut nodes = Routed::to(cluster).await;
    let store = RedisStore::from_connection(nodes.clone(), &cluster.key_prefix());
    let checked = conformance::rate_limit_store(Arc::new(store.clone()), "conformance").await;
    checked.unwrap();
    let hour = 3_600 * 7_812_500;
    let (before, limits) = (
        nodes.keys_on_each_node().await,
        [2, 3].map(|burst| Charge::new(hour, burst * hour, hour)),
    );
    for customer in 0..100 {
        let key = format!("customer-{customer}");
        let mut allowed = 0;
        for _ in 0..3 {
            let verdict = store.acquire(key.as_bytes(), &limits).await.unwrap();
            allowed += u32::from(verdict.is_allowed());
        }
        assert_eq!(allowed, 2, "{key}");
    }
    let after = nodes.keys_on_each_node().await;
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| after > before),
        "{before:?} {after:?}"
    );
}

/// Three keys a fleet, and as many fleets as it takes to have one on each node.
#[tokio::test]
async fn a_fleet_on_a_cluster_keeps_its_keys_together() {
    let cluster = RedisCluster::shared().unwrap();
    let nodes = Routed::to(cluster).await;
    for upstream in 0..10 {
        let store = RedisFleet::from_connection(nodes.clone(), &cluster.key_prefix());
        let breakers = [(); 3].map(|()| {
            let builder = CircuitBreaker::builder("upstream").consecutive_failures(1);
            builder.build().unwrap()
        });
        let name = format!("upstream-{upstream}");
        let mut members = breakers.clone().map(|breaker| {
            let member = FleetMember::new(&name, breaker, store.clone());
            member.with_interval(30 * SECOND).unwrap()
        });
        breakers[..2].iter().for_each(fail);
        for _ in 0..2 {
            for member in &mut members {
                member.exchange().await.unwrap();
            }
        }
        assert_ne!(breakers[2].state(), State::Closed, "{name}");
    }
}

//! The far tier on a Redis Cluster.

use crate::Sure;
use perf_cache::store::{RedisClusterStore, RemoteStore};
use perf_cache::{Cache, EntryPolicy, FarTier, Source, conformance};
use perf_core::{Clock, SystemClock};
use perf_testkit::{FaultProxy, RedisCluster};
use std::time::Duration;

#[tokio::test]
async fn a_cluster_keeps_the_contract() -> anyhow::Result<()> {
    let cluster = RedisCluster::shared()?;
    let store = RedisClusterStore::connect(&cluster.urls()).await?;
    conformance::remote_store(&store, &cluster.key_prefix()).await?;
    assert!(
        RedisClusterStore::connect(&["http://127.0.0.1/"])
            .await
            .is_err()
    );
    Ok(())
}

#[tokio::test]
async fn keys_and_tags_on_different_nodes_are_one_value() -> anyhow::Result<()> {
    let cluster = RedisCluster::shared()?;
    let name = cluster.key_prefix();
    let store = RedisClusterStore::connect(&cluster.urls()).await?;
    let node = || {
        let tier = FarTier::new(store.clone()).timeout(Duration::from_secs(30));
        Cache::<u64, u64>::builder(name.clone()).far(tier).build()
    };
    let (one, other) = (node()?, node()?);
    let policy = |key: u64| {
        EntryPolicy::new()
            .tag(format!("group {}", key % 3))
            .tag("all")
    };
    for key in 0..30 {
        let load = move || std::future::ready(Sure::Ok(key));
        one.get_or_load_with(key, policy(key), load).await?;
    }
    for key in 0..30 {
        let load = async || Sure::Ok(99);
        let found = other.lookup_or_load(key, policy(key), load).await?;
        assert_eq!((found.value, found.source), (key, Source::Far));
    }
    one.invalidate_tag("group 1").await?;
    let third = node()?;
    let found = third.get_many(0..30).await;
    assert_eq!(found.len(), 20);
    assert!(found.keys().all(|key| key % 3 != 1));
    assert_eq!(one.delete_pattern("1*", |_| {}).await?, 11);
    one.clear().await?;
    assert!(node()?.get_many(0..30).await.is_empty());
    Ok(())
}

/// A cluster whose nodes are reached through proxies.
struct Counted {
    cluster: RedisCluster,
    proxies: Vec<FaultProxy>,
}

impl Counted {
    fn start() -> anyhow::Result<Self> {
        let cluster = RedisCluster::start()?;
        let proxies = cluster.nodes().iter();
        let proxies = proxies.map(|node| FaultProxy::start(node.address()));
        let proxies: Vec<_> = proxies.collect::<Result<_, _>>()?;
        let addresses: Vec<_> = proxies.iter().map(FaultProxy::address).collect();
        cluster.announce(&addresses)?;
        Ok(Self { cluster, proxies })
    }

    async fn store(&self) -> anyhow::Result<RedisClusterStore> {
        let nodes = self.cluster.nodes().iter().zip(&self.proxies);
        let urls = nodes.map(|(node, proxy)| node.url_through(proxy.address()));
        let urls: Vec<_> = urls.collect();
        Ok(RedisClusterStore::connect(&urls).await?)
    }

    /// How many round trips each node has seen.
    fn trips(&self) -> Vec<u64> {
        let trips = self.proxies.iter().map(|proxy| proxy.traffic().round_trips);
        trips.collect()
    }
}

#[tokio::test]
async fn a_far_hit_is_one_round_trip_to_each_node_that_holds_a_part_of_it() -> anyhow::Result<()> {
    let counted = Counted::start()?;
    let (writer, reader) = (counted.store().await?, counted.store().await?);
    let node = |store| {
        let tier = FarTier::new(store).timeout(Duration::from_secs(30));
        Cache::<u64, u64>::builder("trips").far(tier).build()
    };
    let (one, other) = (node(writer)?, node(reader)?);
    let policy = |key: u64| {
        let tags = (0..3).map(|tag| format!("tag {key} {tag}"));
        tags.fold(EntryPolicy::new(), EntryPolicy::tag)
    };
    for key in 0..20 {
        one.insert_with(key, key, policy(key)).await?;
    }
    let mut sum = 0;
    for key in 0..20 {
        let before = counted.trips();
        let load = async || Sure::Ok(99);
        let found = other.lookup_or_load(key, policy(key), load).await?;
        assert_eq!((found.value, found.source), (key, Source::Far));
        let trips = counted.trips().into_iter().zip(before);
        let trips: Vec<u64> = trips.map(|(after, before)| after - before).collect();
        assert!(trips.iter().all(|&trips| trips <= 1), "{trips:?}");
        sum += trips.iter().sum::<u64>();
    }
    assert!((20..=60).contains(&sum), "{sum}");
    Ok(())
}

#[tokio::test]
async fn a_read_asks_all_nodes_at_once() -> anyhow::Result<()> {
    let counted = Counted::start()?;
    let store = counted.store().await?;
    let keys: Vec<String> = (0..50).map(|key| format!("once:{key}")).collect();
    store.read(&keys, &[]).await?;
    let before = counted.trips();
    let silent = &counted.cluster.nodes()[0];
    silent.pause();
    let reading = tokio::spawn(async move { store.read(&keys, &[]).await });
    let began = SystemClock.now();
    // The others answer although the first, which is asked before them or after, does not.
    while counted.trips()[1] == before[1] || counted.trips()[2] == before[2] {
        anyhow::ensure!(SystemClock.now().since(began) < Duration::from_secs(60));
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(counted.trips()[0], before[0]);
    silent.resume();
    // Whether that answer is in time is the driver's affair.
    drop(reading.await?);
    Ok(())
}

//! The far tier on a Redis Cluster.

use crate::Sure;
use perf_cache::store::RedisClusterStore;
use perf_cache::{Cache, EntryPolicy, FarTier, Source, conformance};
use perf_testkit::RedisCluster;
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

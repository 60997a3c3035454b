//! The far tier on a master that sentinels name.

use crate::far::{Users, load, node};
use crate::outages::{Fleet, run};
use perf_cache::store::{RedisSentinelStore, RedisStore, RemoteStore};
use perf_cache::{EntryPolicy, Source, conformance};
use perf_core::{Clock, SystemClock};
use perf_testkit::{RedisSentinel, RedisServer};
use std::time::Duration;

const GENEROUS: Duration = Duration::from_secs(120);

fn store(group: &RedisSentinel) -> anyhow::Result<RedisSentinelStore> {
    Ok(RedisSentinelStore::new(&[group.url()], group.name())?)
}

async fn eventually(mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = SystemClock.now();
    while !is_so().await? {
        let waited = SystemClock.now().since(began);
        anyhow::ensure!(waited < GENEROUS, "not after {waited:?}");
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn is_promoted(group: &RedisSentinel, server: &RedisServer) -> anyhow::Result<()> {
    eventually(async || Ok(group.master()? == server.address())).await
}

#[tokio::test]
async fn a_master_behind_a_sentinel_keeps_the_contract() -> anyhow::Result<()> {
    let group = RedisSentinel::start()?;
    conformance::remote_store(&store(&group)?, "contract:").await?;
    assert!(RedisSentinelStore::new(&["http://127.0.0.1/"], "main").is_err());
    assert!(RedisSentinelStore::new(&[] as &[&str], "main").is_err());
    let unknown = RedisSentinelStore::new(&[group.url()], "another")?;
    assert!(conformance::remote_store(&unknown, "").await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_an_error_or_old_data_while_a_replica_takes_over() -> anyhow::Result<()> {
    let group = RedisSentinel::start()?;
    let [master, replica] = group.servers() else {
        anyhow::bail!("two servers");
    };
    let fleet = Fleet::on(|| store(&group))?;
    let ticking = run(fleet.clock.clone());
    fleet.recover().await?;
    let before = fleet.far_failures();
    fleet
        .work(|| {
            master.kill();
            Ok(())
        })
        .await?;
    fleet.work(|| Ok(())).await?;
    assert!(fleet.far_failures() > before, "the failover was felt");
    is_promoted(&group, replica).await?;
    fleet.recover().await?;
    fleet.work(|| Ok(master.restart()?)).await?;
    fleet.recover().await?;
    assert_eq!(group.master()?, replica.address());
    ticking.abort();
    Ok(())
}

#[tokio::test]
async fn an_invalidation_that_no_replica_has_heard_of_is_not_undone() -> anyhow::Result<()> {
    let group = RedisSentinel::start()?;
    let [master, replica] = group.servers() else {
        anyhow::bail!("two servers");
    };
    let nodes = || node("unheard", store(&group)?);
    let one = nodes()?;
    one.get_or_load(7, load("old")).await?;
    assert_eq!(nodes()?.get(&7).await.as_deref(), Some("old"));
    group.isolate_replica()?;
    one.invalidate(&7).await?;
    master.kill();
    replica.resume();
    is_promoted(&group, replica).await?;

    let is_shared = async || share(&one, &nodes()?).await;
    eventually(is_shared).await?;
    let bare = RedisStore::new(&replica.url())?;
    let found = bare.read(&["unheard:v:7".to_owned()], &[]).await?;
    assert!(found.values[0].is_some(), "the replica has not heard");
    let another = nodes()?;
    assert_eq!(another.get(&7).await, None);
    let stats = another.stats();
    assert_eq!((stats.far_misses, stats.far_failures), (1, 0), "it asked");
    Ok(())
}

/// Whether one finds in the far tier what the other puts there.
async fn share(one: &Users, other: &Users) -> anyhow::Result<bool> {
    if one.insert(1, "shared".to_owned()).await.is_err() {
        return Ok(false);
    }
    let found = other.lookup_or_load(1, EntryPolicy::new(), load("shared"));
    Ok(found.await?.source == Source::Far)
}

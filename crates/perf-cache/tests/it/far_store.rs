//! What every far store must do.

use perf_cache::conformance;
use perf_cache::store::{MemoryStore, RedisStore};
use perf_testkit::RedisServer;

#[tokio::test]
async fn memory_keeps_the_contract() -> anyhow::Result<()> {
    Ok(conformance::remote_store(&MemoryStore::new(), "memory:").await?)
}

#[tokio::test]
async fn redis_keeps_the_contract() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let store = RedisStore::new(&server.url())?;
    Ok(conformance::remote_store(&store, &server.key_prefix()).await?)
}

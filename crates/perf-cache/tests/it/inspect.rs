use crate::Sure;
use perf_cache::Cache;
use perf_core::inspect::Value;
use perf_core::{Health, Registry};

#[tokio::test]
async fn the_registry_shows_a_cache_while_a_handle_lives() -> anyhow::Result<()> {
    let registry = Registry::new();
    let cache: Cache<u64, u64> = Cache::builder("shown").build()?;
    cache.register(&registry);
    for _ in 0..4 {
        cache.get_or_load(1, async || Sure::Ok(1)).await?;
    }
    let inspection = &registry.inspect()[0];
    assert_eq!(
        (inspection.name.as_str(), inspection.kind),
        ("shown", "cache")
    );
    assert_eq!(inspection.health, Health::Healthy);
    let value = |name| {
        let sample = inspection.samples.iter().find(|sample| sample.name == name);
        sample.map(|sample| sample.value.clone())
    };
    assert_eq!(value("hits"), Some(Value::Counter(3)));
    assert_eq!(value("misses"), Some(Value::Counter(1)));
    assert_eq!(value("hit_rate_percent"), Some(Value::Gauge(75.0)));
    assert_eq!(value("entries"), Some(Value::Gauge(1.0)));
    drop(cache);
    assert!(registry.inspect().is_empty());
    Ok(())
}

use crate::Sure;
use perf_cache::store::MemoryStore;
use perf_cache::{Cache, CacheBuilder, CacheError, EntryPolicy, FarTier, LoadError};
use std::time::Duration;

fn builder() -> CacheBuilder<u64, u64> {
    Cache::builder("settings")
}

#[test]
fn a_setting_without_meaning_is_an_error_that_names_it() {
    let zero = Duration::ZERO;
    let tier = || FarTier::new(MemoryStore::new());
    let cases = [
        (Cache::builder(""), "builder"),
        (builder().max_entries(0), "max_entries"),
        (builder().max_weight(0, |_, _| 1), "max_weight"),
        (builder().ttl(zero), "ttl"),
        (builder().jitter(1.0), "jitter"),
        (builder().jitter(-0.1), "jitter"),
        (builder().jitter(f64::NAN), "jitter"),
        (builder().load_timeout(zero), "load_timeout"),
        (builder().wait_timeout(zero), "wait_timeout"),
        (builder().far(tier().timeout(zero)), "timeout"),
        (builder().far(tier().lease(zero)), "lease"),
        (builder().event("moved", ["a", ""]), "event"),
    ];
    for (builder, name) in cases {
        match builder.build() {
            Err(CacheError::Setting { setting, problem }) => {
                assert_eq!(setting, name, "{problem}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_tag_without_a_name_is_refused_and_invalidates_nothing() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let node = || builder().far(FarTier::new(store.clone())).build();
    let (one, other) = (node()?, node()?);
    one.insert(1, 1).await?;
    let is_refused =
        |error: &CacheError| matches!(error, CacheError::Setting { setting: "tag", .. });
    let nameless = EntryPolicy::new().tag("");
    let refused = [
        one.insert_with(2, 2, nameless).await,
        one.invalidate_tag("").await,
        one.invalidate_tags(["a", ""]).await,
    ];
    for refused in refused {
        assert!(refused.as_ref().is_err_and(is_refused), "{refused:?}");
    }
    assert_eq!(other.get(&1).await, Some(1));
    Ok(())
}

#[tokio::test]
async fn too_many_tags_are_refused_before_anything_is_loaded() -> anyhow::Result<()> {
    let cache = builder().build()?;
    let policy = EntryPolicy::new().tag("a").tag("b").tag("c").tag("d");
    let inserted = cache.insert_with(1, 1, policy.clone()).await;
    assert!(matches!(
        inserted,
        Err(CacheError::TooManyTags { count: 4, limit: 3 })
    ));
    let loaded = cache
        .get_or_load_with(1, policy, async || Sure::Ok(1))
        .await;
    assert!(matches!(
        loaded,
        Err(LoadError::Cache(CacheError::TooManyTags { .. }))
    ));
    assert_eq!(cache.stats().loads, 0);
    Ok(())
}

#[tokio::test]
async fn a_time_to_live_of_zero_is_refused_per_entry_too() -> anyhow::Result<()> {
    let cache = builder().build()?;
    let policy = EntryPolicy::new().ttl(Duration::ZERO);
    let refused = cache.insert_with(1, 1, policy).await;
    assert!(
        matches!(refused, Err(CacheError::Setting { setting: "ttl", .. })),
        "{refused:?}"
    );
    Ok(())
}

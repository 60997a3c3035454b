use perf_cache::Cache;

#[tokio::test]
async fn no_more_entries_are_held_than_allowed() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("entries").max_entries(100).build()?;
    for key in 0..1_000 {
        cache.insert(key, key).await?;
    }
    let stats = cache.stats();
    assert!(
        (1..=100).contains(&stats.entries),
        "{} entries",
        stats.entries
    );
    assert_eq!(stats.evictions + stats.entries, 1_000);
    Ok(())
}

#[tokio::test]
async fn replacing_an_entry_is_no_eviction() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("replaced").max_entries(100).build()?;
    for value in 0..10 {
        cache.insert(1, value).await?;
    }
    assert_eq!((cache.stats().entries, cache.stats().evictions), (1, 0));
    Ok(())
}

#[tokio::test]
async fn entries_weigh_what_the_weigher_says() -> anyhow::Result<()> {
    let builder = Cache::<u64, String>::builder("bytes");
    let cache = builder
        .max_weight(10_000, |_, text| text.len() as u64)
        .build()?;
    for key in 0..100 {
        cache.insert(key, "x".repeat(1_000)).await?;
    }
    let stats = cache.stats();
    assert_eq!(stats.weight, stats.entries * 1_000);
    assert!(
        (1_000..=10_000).contains(&stats.weight),
        "{} bytes",
        stats.weight
    );
    Ok(())
}

#[tokio::test]
async fn a_value_too_large_to_keep_still_replaces_the_old_one() -> anyhow::Result<()> {
    let builder = Cache::<u64, String>::builder("large");
    let cache = builder
        .max_weight(10_000, |_, text| text.len() as u64)
        .build()?;
    cache.insert(1, "old".into()).await?;
    cache.insert(1, "x".repeat(20_000)).await?;
    assert_eq!(cache.get(&1).await, None);
    assert_eq!((cache.stats().oversized, cache.stats().evictions), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_twentieth_of_the_limit_is_kept_and_more_is_kept_or_counted() -> anyhow::Result<()> {
    const LIMIT: u64 = 64 << 20;
    let builder = Cache::<u64, u64>::builder("shares");
    let cache = builder.max_weight(LIMIT, |_, weight| *weight).build()?;
    cache.insert(1, LIMIT / 20).await?;
    assert_eq!(cache.get(&1).await, Some(LIMIT / 20));
    let mut refused = 0;
    for share in 1..20 {
        cache.insert(1, LIMIT / share).await?;
        refused += u64::from(cache.get(&1).await.is_none());
        assert_eq!(cache.stats().oversized, refused, "1/{share} of the limit");
    }
    assert!(refused > 0, "the whole limit does not fit one shard");
    Ok(())
}

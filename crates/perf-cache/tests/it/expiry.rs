use crate::Sure;
use perf_cache::{Cache, EntryPolicy, Source};
use perf_core::ManualClock;
use std::collections::HashSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_entry_is_served_for_its_time_to_live_and_no_longer() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let builder = Cache::<u64, &str>::builder("ttl")
        .jitter(0.0)
        .clock(clock.clone());
    let cache = builder.ttl(60 * SECOND).build()?;
    cache.insert(1, "default").await?;
    let short = EntryPolicy::new().ttl(10 * SECOND);
    cache.insert_with(2, "short", short).await?;
    clock.advance(9 * SECOND);
    assert_eq!(cache.get(&2).await, Some("short"));
    let lookup = cache.lookup(&1).await.expect("fresh");
    assert_eq!((lookup.value, lookup.source), ("default", Source::Near));
    assert!(
        lookup.age.abs_diff(9 * SECOND) < SECOND * 6 / 10,
        "{:?}",
        lookup.age
    );
    clock.advance(SECOND);
    assert_eq!(cache.get(&2).await, None);
    assert!(!cache.contains(&2).await);
    assert!(cache.lookup(&2).await.is_none());
    clock.advance(49 * SECOND);
    assert!(cache.contains(&1).await);
    clock.advance(SECOND);
    assert_eq!(cache.get(&1).await, None);
    assert_eq!(
        cache.get_or_load(1, async || Sure::Ok("anew")).await?,
        "anew"
    );
    Ok(())
}

#[tokio::test]
async fn entries_stored_together_do_not_expire_together() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let builder = Cache::<u64, u64>::builder("jitter")
        .jitter(0.5)
        .clock(clock.clone());
    let cache = builder.ttl(100 * SECOND).build()?;
    for key in 0..200 {
        cache.insert(key, key).await?;
    }
    let mut remaining = HashSet::new();
    clock.advance(49 * SECOND);
    for _ in 0..52 {
        let mut alive = 0;
        for key in 0..200 {
            alive += usize::from(cache.contains(&key).await);
        }
        remaining.insert(alive);
        clock.advance(SECOND);
    }
    assert!(remaining.contains(&200), "none goes before half its time");
    assert!(remaining.contains(&0), "none stays beyond it");
    assert!(
        remaining.len() > 20,
        "spread over {} seconds",
        remaining.len()
    );
    Ok(())
}

#[tokio::test]
async fn nothing_old_comes_back_when_the_deadlines_wrap_around() -> anyhow::Result<()> {
    const DAY: Duration = Duration::from_secs(86_400);
    let clock = ManualClock::new();
    let builder = Cache::<u64, u64>::builder("years")
        .jitter(0.0)
        .clock(clock.clone());
    let cache = builder.ttl(DAY).build()?;
    cache.insert(0, 0).await?;
    clock.advance(DAY);
    for day in 1..1_000 {
        cache.insert(day, day).await?;
        assert_eq!(cache.get(&day).await, Some(day));
        assert_eq!(cache.get(&0).await, None, "day {day}");
        clock.advance(DAY);
        assert_eq!(cache.get(&day).await, None, "day {day}");
    }
    Ok(())
}

#[tokio::test]
async fn what_has_expired_stays_so_however_long_nobody_asks() -> anyhow::Result<()> {
    /// After this time the deadlines wrap around.
    const ROUND: Duration = Duration::from_nanos(1 << 55);
    let clock = ManualClock::new();
    let builder = Cache::<u64, u64>::builder("centuries").clock(clock.clone());
    let cache = builder.stale_if_error(SECOND).build()?;
    for round in 0..4 {
        cache.insert(1, round).await?;
        clock.advance(ROUND);
        let failing = async || Err::<u64, _>(std::fmt::Error);
        let stale = cache.get_or_load(1, failing).await;
        assert!(stale.is_err(), "neither fresh nor stale: {stale:?}");
        cache.insert(1, round).await?;
        clock.advance(ROUND);
        assert_eq!(cache.get(&1).await, None, "round {round}");
        assert!(!cache.contains(&1).await, "round {round}");
    }
    Ok(())
}

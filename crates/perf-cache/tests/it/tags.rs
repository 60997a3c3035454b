use crate::Sure;
use perf_cache::{Cache, EntryPolicy};
use tokio::sync::oneshot;

fn tagged(tags: &[&str]) -> EntryPolicy {
    tags.iter()
        .fold(EntryPolicy::new(), |policy, tag| policy.tag(tag))
}

#[tokio::test]
async fn a_tag_takes_its_entries_and_leaves_the_others() -> anyhow::Result<()> {
    let cache: Cache<String, u64> = Cache::builder("groups").build()?;
    cache
        .insert_with("both".into(), 1, tagged(&["red", "blue"]))
        .await?;
    cache
        .insert_with("blue".into(), 2, tagged(&["blue"]))
        .await?;
    cache.insert("none".into(), 3).await?;
    cache.invalidate_tag("red").await?;
    assert_eq!(cache.get("both").await, None);
    assert_eq!(cache.get("blue").await, Some(2));
    cache.invalidate_tags(["green", "blue"]).await?;
    assert_eq!(cache.get("blue").await, None);
    assert_eq!(cache.get("none").await, Some(3));
    cache
        .insert_with("blue".into(), 4, tagged(&["blue"]))
        .await?;
    assert_eq!(
        cache.get("blue").await,
        Some(4),
        "born after the invalidation"
    );
    cache.clear().await?;
    assert_eq!(cache.get("blue").await, None);
    assert_eq!(cache.stats().entries, 0);
    Ok(())
}

/// A caller that comes after an invalidation must not join a load that began before it, whichever of
/// the two callers named the tag.
#[tokio::test]
async fn nobody_joins_a_load_that_their_tag_overtook() -> anyhow::Result<()> {
    for (first, second) in [(&["red"][..], &[][..]), (&[], &["red"])] {
        let cache: Cache<u64, &str> = Cache::builder("joins").build()?;
        let (release, gate) = oneshot::channel::<()>();
        let early = tokio::spawn({
            let cache = cache.clone();
            let load = async move || {
                gate.await.ok();
                Sure::Ok("old")
            };
            let policy = tagged(first);
            async move { cache.get_or_load_with(1, policy, load).await }
        });
        tokio::task::yield_now().await;
        cache.invalidate_tag("red").await?;
        let late = cache
            .get_or_load_with(1, tagged(second), async || Sure::Ok("new"))
            .await?;
        assert_eq!(late, "new", "{first:?} {second:?}");
        release.send(()).expect("the load waits");
        assert_eq!(early.await??, "old");
        assert_eq!(cache.get(&1).await, Some("new"));
        assert_eq!(cache.stats().refused_publications, 1);
    }
    Ok(())
}

/// The first caller names no tag, or another one: who joined its load would lose the tag it names.
#[tokio::test]
async fn a_value_carries_the_tags_of_all_who_waited_for_it() -> anyhow::Result<()> {
    let cases = [
        (&[][..], "red", "red"),
        (&["blue"], "red", "red"),
        (&["blue"], "red", "blue"),
    ];
    for (first, second, invalidated) in cases {
        let cache: Cache<u64, &str> = Cache::builder("joined").build()?;
        let (release, gate) = oneshot::channel::<()>();
        let leader = tokio::spawn({
            let (cache, policy) = (cache.clone(), tagged(first));
            let load = async move || {
                gate.await.ok();
                Sure::Ok("old")
            };
            async move { cache.get_or_load_with(1, policy, load).await }
        });
        tokio::task::yield_now().await;
        let joiner = tokio::spawn({
            let (cache, policy) = (cache.clone(), tagged(&[second]));
            async move {
                let load = async || Sure::Ok("old");
                cache.get_or_load_with(1, policy, load).await
            }
        });
        tokio::task::yield_now().await;
        release.send(()).expect("the load waits");
        assert_eq!((leader.await??, joiner.await??), ("old", "old"));
        assert_eq!(cache.get(&1).await, Some("old"));
        cache.invalidate_tag(invalidated).await?;
        let load = async || Sure::Ok("new");
        let next = cache.get_or_load_with(1, tagged(&[second]), load).await?;
        assert_eq!(next, "new", "{first:?} {second} {invalidated}");
    }
    Ok(())
}

#[tokio::test]
async fn callers_with_different_tags_do_not_load_in_turns() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("turns").build()?;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..100 {
        let (cache, policy) = (
            cache.clone(),
            tagged(&[["red", "blue", "green"][caller % 3]]),
        );
        let load = async || {
            tokio::task::yield_now().await;
            Sure::Ok(7)
        };
        callers.spawn(async move { cache.get_or_load_with(1, policy, load).await });
    }
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    assert!(cache.stats().loads <= 3, "{} loads", cache.stats().loads);
    Ok(())
}

use crate::Sure;
use perf_cache::{Cache, EntryPolicy};
use perf_testkit::allocations;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What `future` is at its first poll.
fn at_first_poll<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn a_hit_is_ready_at_the_first_poll_without_a_runtime_or_an_allocation() -> anyhow::Result<()> {
    let cache: Cache<u64, Arc<str>> = Cache::builder("hits").build()?;
    let policy = EntryPolicy::new().tag("a").tag("b").tag("c");
    at_first_poll(cache.insert(1, "plain".into())).expect("ready")?;
    at_first_poll(cache.insert_with(2, "tagged".into(), policy)).expect("ready")?;
    // The slots of tags exist from the first invalidation on, and an invalidated tag sends every hit
    // the longer way.
    at_first_poll(cache.invalidate_tag("elsewhere")).expect("ready")?;
    let load = async || -> Sure<Arc<str>> { unreachable!("a hit loads nothing") };
    let warm = at_first_poll(cache.get(&1));
    assert_eq!(warm.flatten().as_deref(), Some("plain"));
    let allocated = allocations::count(|| {
        for _ in 0..1_000 {
            for (key, value) in [(1, "plain"), (2, "tagged")] {
                let got = at_first_poll(cache.get(&key)).expect("ready");
                assert_eq!(got.as_deref(), Some(value));
                let loaded = at_first_poll(cache.get_or_load(key, load)).expect("ready");
                assert_eq!(loaded.ok().as_deref(), Some(value));
            }
        }
    });
    assert_eq!(allocated, 0);
    assert_eq!(cache.stats().hits, 4_001);
    Ok(())
}

#[test]
fn a_key_is_found_by_its_borrowed_form() -> anyhow::Result<()> {
    let cache: Cache<String, u64> = Cache::builder("borrowed").build()?;
    at_first_poll(cache.insert("user:7".into(), 7)).expect("ready")?;
    assert_eq!(at_first_poll(cache.get("user:7")), Some(Some(7)));
    assert_eq!(at_first_poll(cache.contains("user:8")), Some(false));
    Ok(())
}

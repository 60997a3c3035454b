//! Responses that processes share.

use super::{MINUTE, Site, pages};
use http::HeaderMap;
use perf_cache::backplane::MemoryBackplane;
use perf_cache::store::{MemoryStore, RedisStore, RemoteStore};
use perf_core::{Clock, SystemClock};
use perf_testkit::RedisServer;
use std::time::Duration;

fn nodes(
    store: &(impl RemoteStore + Clone),
    headers: &'static [(&str, &str)],
) -> anyhow::Result<[Site; 2]> {
    let node = || {
        let builder = pages().far(store.clone(), Duration::from_secs(5));
        let builder = builder.tags(|request| {
            let tags = request.uri.query().unwrap_or_default().split('&');
            tags.filter(|tag| !tag.is_empty())
                .map(str::to_owned)
                .collect()
        });
        Site::of_headers(builder, headers)
    };
    Ok([node()?, node()?])
}

#[tokio::test]
async fn a_page_that_one_process_made_serves_the_others() -> anyhow::Result<()> {
    let store = MemoryStore::new();
    let [one, other] = nodes(&store, MINUTE)?;
    let made = one.get("/?a&b").await?;
    let found = other.get("/?a&b").await?;
    assert_eq!((&*found.text, other.calls()), ("page 1", 0));
    let of = |headers: &HeaderMap| {
        let mut headers = headers.clone();
        headers.remove("cache-status");
        headers
    };
    assert_eq!(of(&found.headers), of(&made.headers));
    assert_eq!(found.header("cache-status"), "perf-cache; hit");
    assert_eq!(other.get("/?a&b").await?.text, "page 1");
    Ok(())
}

#[tokio::test]
async fn a_purge_reaches_what_processes_share() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    let store = RedisStore::new(&server.url())?;
    let name = server.key_prefix();
    let node = || {
        let pages = perf_cache::http::ResponseCache::builder(name.clone());
        let pages = pages.far(store.clone(), Duration::from_secs(5));
        Site::of_headers(pages.tags(|_| vec!["a".into(), "b".into()]), MINUTE)
    };
    for purged in ["a", "b", "/x"] {
        let (one, other) = (node()?, node()?);
        one.get("/x").await?;
        one.pages.purge_tag(purged).await?;
        // Not near there yet: the far tier must know.
        assert_eq!(
            (other.get("/x").await?.text, other.calls()),
            ("page 1".to_owned(), 1),
            "{purged}"
        );
        other.pages.purge_tag(purged).await?;
    }
    Ok(())
}

/// A tag that nobody knew beforehand may have been purged elsewhere meanwhile.
#[tokio::test]
async fn a_page_with_a_tag_that_came_as_a_surprise_is_not_shared() -> anyhow::Result<()> {
    const TAGGED: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("surrogate-key", "a b")];
    let [one, other] = nodes(&MemoryStore::new(), TAGGED)?;
    one.get("/?a").await?;
    one.get("/?a").await?;
    other.get("/?a").await?;
    assert_eq!((one.calls(), other.calls()), (2, 1), "b was a surprise");
    one.get("/?b&a").await?;
    assert_eq!(other.get("/?b&a").await?.text, "page 3");
    assert_eq!((one.calls(), other.calls()), (3, 1));
    // More tags than an entry can carry: passed on.
    one.get("/?a&b&c").await?;
    one.get("/?a&b&c").await?;
    assert_eq!(one.calls(), 5);
    Ok(())
}

#[tokio::test]
async fn a_purge_is_heard_by_those_who_hold_the_page_near() -> anyhow::Result<()> {
    const HOUR: Duration = Duration::from_secs(3_600);
    const LIMIT: Duration = Duration::from_secs(30);
    let (store, plane) = (MemoryStore::new(), MemoryBackplane::new());
    let node = || {
        let pages = pages().far(store.clone(), HOUR);
        let pages = pages.coherence(plane.clone(), HOUR);
        Site::of_headers(pages.tags(|_| vec!["a".into()]), MINUTE)
    };
    let (one, other) = (node()?, node()?);
    let began = SystemClock.now();
    let patience = async || {
        SystemClock.sleep(Duration::from_millis(5)).await;
        let waited = SystemClock.now().since(began);
        anyhow::ensure!(waited < LIMIT, "not heard after {waited:?}");
        Ok(())
    };
    // From when both listen.
    while one.pages.stats().doubts == 0 || other.pages.stats().doubts == 0 {
        patience().await?;
    }
    one.get("/x").await?;
    other.get("/x").await?;
    let near = other.pages.stats().hits;
    other.get("/x").await?;
    assert_eq!((other.pages.stats().hits, other.calls()), (near + 1, 0));
    one.pages.purge_tag("a").await?;
    while other.calls() == 0 {
        patience().await?;
        other.get("/x").await?;
    }
    Ok(())
}

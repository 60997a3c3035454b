//! What clients get while the service is slow, down or wrong.

use super::{Site, page, pages};
use http::{Response, StatusCode};
use perf_core::ManualClock;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HIT: &str = "perf-cache; hit";
const STALE: &str = "perf-cache; hit; detail=stale";

/// A site that does as it is told: 0 well, 1 an error, 2 a status of 503.
fn site(
    builder: perf_cache::http::ResponseCacheBuilder,
    headers: &'static [(&str, &str)],
) -> anyhow::Result<(Site, Arc<AtomicU8>)> {
    let mood = Arc::new(AtomicU8::new(0));
    let told = Arc::clone(&mood);
    let site = Site::new(builder, move |_, call| {
        let mut response = page(call, headers);
        match told.load(Ordering::SeqCst) {
            0 => {}
            1 => return Err(io::Error::other("no database")),
            _ => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
        }
        Ok(response)
    })?;
    Ok((site, mood))
}

#[tokio::test]
async fn a_stale_page_is_served_while_one_call_fetches_the_next() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let says = &[("cache-control", "max-age=60, stale-while-revalidate=30")];
    let (site, _) = site(pages().clock(clock.clone()), says)?;
    site.get("/").await?;
    clock.advance(80 * SECOND);
    for _ in 0..5 {
        let stale = site.get("/").await?;
        assert_eq!(
            (&*stale.text, stale.header("cache-status")),
            ("page 1", STALE)
        );
        assert_eq!(stale.header("age"), "80");
    }
    while site.get("/").await?.text != "page 2" {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.calls(), 2);
    clock.advance(91 * SECOND);
    assert_eq!(site.get("/").await?.text, "page 3", "the window has closed");
    Ok(())
}

#[tokio::test]
async fn a_stale_page_goes_before_an_error() -> anyhow::Result<()> {
    for mood in [1, 2] {
        let clock = ManualClock::new();
        let says = &[("cache-control", "max-age=60, stale-if-error=30")];
        let (site, told) = site(pages().clock(clock.clone()), says)?;
        site.get("/").await?;
        told.store(mood, Ordering::SeqCst);
        assert_eq!(site.get("/").await?.header("cache-status"), HIT);
        clock.advance(80 * SECOND);
        let stale = site.get("/").await?;
        assert_eq!(
            (&*stale.text, stale.header("cache-status")),
            ("page 1", STALE)
        );
        clock.advance(11 * SECOND);
        // Nothing is left to serve: the client hears what the service says.
        match site.get("/").await {
            Ok(answer) => assert_eq!(
                (mood, answer.status.as_u16(), &*answer.text),
                (2, 503, "page 3")
            ),
            Err(error) => assert_eq!((mood, error.to_string()), (1, "no database".to_owned())),
        }
        told.store(0, Ordering::SeqCst);
        assert_eq!(site.get("/").await?.text, "page 4", "an error is not kept");
    }
    Ok(())
}

#[tokio::test]
async fn windows_may_be_the_caches_own_unless_the_page_forbids_it() -> anyhow::Result<()> {
    for (says, expected) in [
        ("max-age=60", "page 1"),
        ("max-age=60, must-revalidate", "page 2"),
        ("s-maxage=60", "page 2"),
        ("s-maxage=60, stale-while-revalidate=90", "page 1"),
        ("max-age=60, stale-while-revalidate=5", "page 2"),
    ] {
        let clock = ManualClock::new();
        let builder = pages()
            .clock(clock.clone())
            .stale_while_revalidate(30 * SECOND);
        let site = Site::new(builder, move |_, call| {
            let response = Response::builder().header("cache-control", says);
            Ok(response
                .body(format!("page {call}"))
                .expect("the header is sound"))
        })?;
        site.get("/").await?;
        clock.advance(70 * SECOND);
        assert_eq!(site.get("/").await?.text, expected, "{says}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_purged_is_no_fallback() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let says = &[
        (
            "cache-control",
            "max-age=60, stale-if-error=90, stale-while-revalidate=90",
        ),
        ("surrogate-key", "a b c d e"),
    ];
    let (site, told) = site(pages().clock(clock.clone()), says)?;
    for purged in ["/", "d"] {
        told.store(0, Ordering::SeqCst);
        site.get("/").await?;
        clock.advance(70 * SECOND);
        site.pages.purge_tag(purged).await?;
        told.store(1, Ordering::SeqCst);
        assert!(site.get("/").await.is_err(), "{purged}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_hangs_or_panics_is_an_answer_too() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let cache = pages().clock(clock.clone()).timeout(30 * SECOND).build()?;
    let site = Site::with(cache, |request, call| async move {
        match request.uri.path() {
            "/hangs" => std::future::pending().await,
            "/panics" if call < 3 => panic!("this call is meant to"),
            _ => Ok(page(call, super::MINUTE).map(super::Body::from)),
        }
    })?;
    let hanging = site.get("/hangs");
    tokio::pin!(hanging);
    assert!(futures_util::poll!(&mut hanging).is_pending());
    while site.calls() == 0 {
        tokio::task::yield_now().await;
    }
    clock.advance(31 * SECOND);
    assert_eq!(hanging.await?.status, StatusCode::GATEWAY_TIMEOUT);
    let failed = site.get("/panics").await?;
    assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(site.get("/panics").await?.text, "page 3");
    Ok(())
}

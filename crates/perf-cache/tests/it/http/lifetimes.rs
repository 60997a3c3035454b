//! For how long a response is used, and what is said of its age.

use super::{MINUTE, Site, page, pages};
use http::StatusCode;
use perf_cache::http::Keep;
use perf_core::ManualClock;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_response_is_used_for_as_long_as_it_says_and_tells_its_age() -> anyhow::Result<()> {
    for (headers, lifetime) in [
        (MINUTE, 60),
        (&[("cache-control", "max-age=60, s-maxage=90")], 90),
        (&[("cache-control", "max-age=60"), ("age", "20")], 40),
    ] {
        let clock = ManualClock::new();
        let site = Site::of_headers(pages().clock(clock.clone()), headers)?;
        site.get("/").await?;
        clock.advance(SECOND * (lifetime - 1));
        let old = site.get("/").await?;
        assert_eq!(old.text, "page 1");
        let of_others = if headers.len() == 2 { 20 } else { 0 };
        assert_eq!(old.header("age"), (of_others + lifetime - 1).to_string());
        assert_eq!(old.header("cache-control"), headers[0].1);
        clock.advance(SECOND);
        assert_eq!(site.get("/").await?.text, "page 2", "{headers:?}");
    }
    Ok(())
}

#[tokio::test]
async fn one_that_says_nothing_is_kept_if_the_cache_says_for_how_long() -> anyhow::Result<()> {
    let site = Site::of_headers(pages(), &[])?;
    site.get("/").await?;
    assert_eq!(site.get("/").await?.text, "page 2");
    let modified = &[("last-modified", "Sat, 21 Nov 2020 10:00:00 GMT")];
    let site = Site::of_headers(pages(), modified)?;
    site.get("/").await?;
    assert_eq!(
        site.get("/").await?.text,
        "page 2",
        "nothing is guessed from dates"
    );
    let clock = ManualClock::new();
    let site = Site::of_headers(pages().clock(clock.clone()).ttl(10 * SECOND), &[])?;
    site.get("/").await?;
    clock.advance(9 * SECOND);
    let kept = site.get("/").await?;
    assert_eq!((&*kept.text, kept.header("cache-control")), ("page 1", ""));
    clock.advance(SECOND);
    assert_eq!(site.get("/").await?.text, "page 2");
    Ok(())
}

#[tokio::test]
async fn which_statuses_are_kept_is_a_choice() -> anyhow::Result<()> {
    let wanted: Keep = Keep::When(Arc::new(|request, response| {
        request.uri.path() == "/418" || response.status == StatusCode::NOT_FOUND
    }));
    for (keep, kept) in [
        (Keep::Success, &[200, 204][..]),
        (Keep::All, &[200, 204, 301, 404, 410]),
        (wanted, &[404]),
    ] {
        let site = Site::new(pages().keep(keep.clone()), |request, call| {
            let mut response = page(call, MINUTE);
            let status = request.uri.path()[1..]
                .parse()
                .expect("the path is a status");
            *response.status_mut() = status;
            Ok(response)
        })?;
        // What no cache understands is kept by none of them.
        for status in [200, 204, 301, 404, 410, 418, 500, 503] {
            let path = format!("/{status}");
            let (one, two) = (site.get(&path).await?, site.get(&path).await?);
            assert_eq!(
                one.text == two.text,
                kept.contains(&status),
                "{keep:?} {status}"
            );
            assert_eq!(two.status.as_u16(), status);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_may_ask_for_a_younger_response() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let site = Site::of_headers(pages().clock(clock.clone()), MINUTE)?;
    site.get("/").await?;
    clock.advance(20 * SECOND);
    for (control, expected) in [
        ("max-age=30", "page 1"),
        ("max-age=10", "page 2"),
        ("min-fresh=50", "page 3"),
        ("no-cache", "page 4"),
        ("No-Store", "page 5"),
        ("max-stale=5", "page 1"),
    ] {
        let answer = site.get_with("/", &[("cache-control", control)]).await?;
        assert_eq!(answer.text, expected, "{control}");
    }
    let pragma = site.get_with("/", &[("pragma", "no-cache")]).await?;
    assert_eq!(pragma.text, "page 6");
    let deaf = Site::of_headers(pages().ignore_reloads(), MINUTE)?;
    deaf.get("/").await?;
    let reload = deaf.get_with("/", &[("cache-control", "no-cache")]).await?;
    assert_eq!(reload.text, "page 1");
    Ok(())
}

#[test]
fn a_setting_without_meaning_is_an_error_that_names_it() {
    use perf_cache::CacheError;
    for (builder, name) in [
        (pages().max_bytes(0), "max_bytes"),
        (pages().max_body(0), "max_body"),
        (pages().timeout(Duration::ZERO), "timeout"),
        (pages().ttl(Duration::from_millis(999)), "ttl"),
    ] {
        let error = builder.build().expect_err(name);
        assert!(
            matches!(&error, CacheError::Setting { setting, .. } if *setting == name),
            "{error}"
        );
    }
}

//! Validators: between client and cache, and between cache and service.

use super::{Site, page, pages, request};
use http::{Method, StatusCode};
use perf_core::ManualClock;
use std::time::Duration;

#[tokio::test]
async fn a_client_that_has_the_page_is_told_so() -> anyhow::Result<()> {
    const HEADERS: &[(&str, &str)] = &[
        ("cache-control", "max-age=60"),
        ("etag", "\"one\""),
        ("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT"),
        ("content-type", "text/plain"),
    ];
    let site = Site::of_headers(pages(), HEADERS)?;
    for condition in [
        ("if-none-match", "\"other\", W/\"one\""),
        ("if-modified-since", "Sat, 21 Nov 2026 10:00:00 GMT"),
    ] {
        // Whether it is kept or fetched for this client: the service never sees the condition.
        let answer = site.get_with("/", &[condition]).await?;
        assert_eq!(
            (answer.status, &*answer.text),
            (StatusCode::NOT_MODIFIED, "")
        );
        assert_eq!(answer.header("etag"), "\"one\"");
        assert_eq!(answer.header("cache-control"), "max-age=60");
        assert_eq!(answer.header("age"), "0");
        assert_eq!(answer.header("content-length"), "");
    }
    let other = site
        .get_with("/", &[("if-none-match", "\"other\"")])
        .await?;
    assert_eq!((other.status, &*other.text), (StatusCode::OK, "page 1"));
    assert_eq!(site.calls(), 1);
    Ok(())
}

#[tokio::test]
async fn a_page_without_a_validator_gets_one_of_its_bytes() -> anyhow::Result<()> {
    let site = Site::new(pages(), |request, _| {
        let mut response = page(0, super::MINUTE);
        *response.body_mut() = request.uri.query().unwrap_or_default().to_owned();
        Ok(response)
    })?;
    let tag = |answer: &super::Answer| answer.header("etag").to_owned();
    let (one, two) = (site.get("/?one").await?, site.get("/?two").await?);
    assert_ne!(tag(&one), tag(&two));
    assert_eq!(tag(&one).len(), 34);
    site.pages.clear().await?;
    assert_eq!(
        tag(&site.get("/?one").await?),
        tag(&one),
        "the same bytes, the same tag"
    );
    let known = site
        .get_with("/?one", &[("if-none-match", &tag(&one))])
        .await?;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    Ok(())
}

#[tokio::test]
async fn head_is_answered_from_what_get_has_left() -> anyhow::Result<()> {
    let site = Site::of_headers(pages(), super::MINUTE)?;
    let head = || site.send(request(Method::HEAD, "/", &[]));
    head().await?;
    assert_eq!(site.calls(), 1);
    let whole = site.get("/").await?;
    assert_eq!(
        (&*whole.text, site.calls()),
        ("page 2", 2),
        "an answer to HEAD is none to GET"
    );
    let answer = head().await?;
    assert_eq!((&*answer.text, answer.header("content-length")), ("", "6"));
    assert_eq!(site.calls(), 2);
    Ok(())
}

#[tokio::test]
async fn a_stale_page_is_confirmed_by_the_service() -> anyhow::Result<()> {
    let clock = ManualClock::new();
    let site = Site::new(pages().clock(clock.clone()), |request, call| {
        let mut response = page(call, &[("cache-control", "max-age=60"), ("x-same", "yes")]);
        response
            .headers_mut()
            .insert("etag", "\"one\"".parse().expect("a tag"));
        if request
            .headers
            .get("if-none-match")
            .is_some_and(|tag| tag == "\"one\"")
        {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
                .headers_mut()
                .insert("x-new", "yes".parse().expect("a value"));
            response
                .headers_mut()
                .insert("content-length", "99".parse().expect("a value"));
            response.body_mut().clear();
        }
        Ok(response)
    })?;
    site.get("/").await?;
    for call in 2..4 {
        clock.advance(Duration::from_secs(60));
        let confirmed = site.get("/").await?;
        assert_eq!(
            (confirmed.status, &*confirmed.text),
            (StatusCode::OK, "page 1")
        );
        assert_eq!(
            (confirmed.header("x-new"), confirmed.header("x-same")),
            ("yes", "yes")
        );
        assert_eq!(
            (confirmed.header("content-length"), confirmed.header("age")),
            ("6", "0")
        );
        assert_eq!(site.get("/").await?.text, "page 1");
        assert_eq!(site.calls(), call);
    }
    // What was purged is not offered for confirmation.
    site.pages.purge_path("/").await?;
    assert_eq!(site.get("/").await?.text, "page 4");
    Ok(())
}

//! Who may see whose response, and how many calls are made for them.

use super::{MINUTE, Site, page, pages};
use futures_util::future::try_join_all;
use http::{Response, header};
use perf_cache::http::ResponseCache;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A site whose pages come when they are let through.
fn gated(
    pages: ResponseCache,
    headers: &'static [(&str, &str)],
) -> anyhow::Result<(Site, Arc<Semaphore>)> {
    let gate = Arc::new(Semaphore::new(0));
    let handed = Arc::clone(&gate);
    let site = Site::with(pages, move |_, call| {
        let gate = Arc::clone(&handed);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(page(call, headers).map(super::Body::from))
        }
    })?;
    Ok((site, gate))
}

#[tokio::test]
async fn a_thousand_clients_who_miss_are_one_call() -> anyhow::Result<()> {
    let (site, gate) = gated(pages().build()?, MINUTE)?;
    let clients = (0..1_000).map(|_| site.get("/"));
    let (answers, ()) = tokio::join!(try_join_all(clients), async {
        tokio::task::yield_now().await;
        gate.add_permits(1_000);
    });
    let answers = answers?;
    assert!(answers.iter().all(|answer| answer.text == "page 1"));
    assert_eq!(site.calls(), 1);
    let status = |status| move |answer: &&super::Answer| answer.header("cache-status") == status;
    let stored = answers
        .iter()
        .filter(status("perf-cache; fwd=miss; stored"));
    assert_eq!(stored.count(), 1);
    let collapsed = answers
        .iter()
        .filter(status("perf-cache; fwd=miss; collapsed"));
    assert_eq!(collapsed.count(), 999);
    assert_eq!(
        site.get("/").await?.header("cache-status"),
        "perf-cache; hit"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_to_be_shared_is_everyones_own() -> anyhow::Result<()> {
    const CASES: &[&[(&str, &str)]] = &[
        &[("cache-control", "max-age=60"), ("set-cookie", "session=1")],
        &[
            ("cache-control", "public, max-age=60"),
            ("set-cookie", "session=1"),
        ],
        &[("cache-control", "private, max-age=60")],
        &[("cache-control", "max-age=60, PRIVATE")],
        &[
            ("cache-control", "max-age=60"),
            ("cache-control", "private=\"x\""),
        ],
        &[("cache-control", "no-store")],
        &[("cache-control", "No-Store, max-age=60")],
        &[("cache-control", "no-cache")],
        &[("cache-control", "max-age=0")],
        &[("pragma", "no-cache")],
        &[("expires", "0")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[
            ("cache-control", "max-age=60"),
            ("content-type", "text/event-stream"),
        ],
    ];
    for headers in CASES {
        // Even a time to live for responses that say nothing must not share them.
        let builder = pages().ttl(std::time::Duration::from_secs(60));
        let (site, gate) = gated(builder.build()?, headers)?;
        gate.add_permits(100);
        let answers = try_join_all((0..10).map(|_| site.get("/"))).await?;
        let mut texts: Vec<_> = answers.iter().map(|answer| &answer.text).collect();
        texts.sort();
        texts.dedup();
        assert_eq!((texts.len(), site.calls()), (10, 10), "{headers:?}");
        assert_eq!(site.get("/").await?.text, "page 11", "{headers:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cache_control_that_is_no_text_is_taken_for_the_worst() -> anyhow::Result<()> {
    let builder = pages().ttl(std::time::Duration::from_secs(60));
    let site = Site::new(builder, |_, call| {
        let mut response = page(call, &[]);
        let odd = header::HeaderValue::from_bytes(b"private\xff").expect("obsolete text");
        response.headers_mut().insert(header::CACHE_CONTROL, odd);
        Ok(response)
    });
    let site = site?;
    assert_eq!(site.get("/").await?.text, "page 1");
    assert_eq!(site.get("/").await?.text, "page 2");
    Ok(())
}

#[tokio::test]
async fn a_request_with_credentials_neither_takes_nor_leaves_a_response() -> anyhow::Result<()> {
    for control in ["max-age=60", "public, max-age=60", "s-maxage=60"] {
        let site = Site::new(pages(), move |_, call| {
            Ok(Response::builder()
                .header("cache-control", control)
                .body(format!("page {call}"))
                .expect("the header is sound"))
        })?;
        let alice = [("authorization", "Bearer alice")];
        assert_eq!(site.get_with("/", &alice).await?.text, "page 1");
        assert_eq!(site.get("/").await?.text, "page 2", "{control}");
        let again = site.get_with("/", &alice).await?;
        assert_eq!(again.text, "page 3", "{control}");
        assert_eq!(again.header("cache-status"), "perf-cache; fwd=bypass");
    }
    Ok(())
}

#[tokio::test]
async fn with_a_scope_each_user_has_what_is_private() -> anyhow::Result<()> {
    const PRIVATE: &[(&str, &str)] = &[("cache-control", "private, max-age=60")];
    let builder = pages().scope(|request| {
        let user = request.headers.get("x-authenticated-user")?;
        Some(user.to_str().ok()?.to_owned())
    });
    let site = Site::of_headers(builder, PRIVATE)?;
    let user = |name| {
        [
            ("authorization", "Bearer x"),
            ("x-authenticated-user", name),
        ]
    };
    assert_eq!(site.get_with("/", &user("alice")).await?.text, "page 1");
    assert_eq!(site.get_with("/", &user("bob")).await?.text, "page 2");
    assert_eq!(site.get_with("/", &user("alice")).await?.text, "page 1");
    assert_eq!(site.get_with("/", &user("bob")).await?.text, "page 2");
    // Nobody's is not theirs, and what is private to nobody is not kept.
    assert_eq!(site.get("/").await?.text, "page 3");
    assert_eq!(site.get("/").await?.text, "page 4");
    // A cookie that is set is its receiver's alone.
    let cookie = Site::of_headers(
        pages().scope(|_| Some("alice".into())),
        &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
    )?;
    assert_eq!(cookie.get("/").await?.text, "page 1");
    assert_eq!(cookie.get("/").await?.text, "page 2");
    Ok(())
}

#[tokio::test]
async fn clients_do_not_queue_for_what_is_not_shared() -> anyhow::Result<()> {
    let (site, gate) = gated(pages().build()?, &[("cache-control", "private")])?;
    gate.add_permits(1);
    assert_eq!(site.get("/").await?.text, "page 1");
    let clients = try_join_all((0..10).map(|_| site.get("/")));
    tokio::pin!(clients);
    assert!(futures_util::poll!(&mut clients).is_pending());
    assert_eq!(site.calls(), 11, "each has called before any was answered");
    gate.add_permits(10);
    clients.await?;
    Ok(())
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_the_response_to_others() -> anyhow::Result<()> {
    let (site, gate) = gated(pages().build()?, MINUTE)?;
    {
        let impatient = site.get("/");
        tokio::pin!(impatient);
        assert!(futures_util::poll!(&mut impatient).is_pending());
        tokio::task::yield_now().await;
    }
    let patient = site.get("/");
    gate.add_permits(1);
    assert_eq!(patient.await?.text, "page 1");
    assert_eq!(site.calls(), 1);
    Ok(())
}

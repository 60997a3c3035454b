//! Purges: by tag, by path, by requests that change something, and at a CDN.

use super::{Body, MINUTE, Site, page, pages, request};
use axum::Router;
use axum::extract::{Request, State};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use perf_cache::http::{HttpPurge, PurgeError};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// More than an entry of a cache can carry.
const TAGGED: &[(&str, &str)] = &[
    ("cache-control", "max-age=60"),
    ("surrogate-key", "a b c d e f g"),
    ("surrogate-key", "h i"),
];

#[tokio::test]
async fn a_page_is_purged_by_any_of_its_tags_and_by_no_other() -> anyhow::Result<()> {
    let site = Site::of_headers(pages(), TAGGED)?;
    let mut call = 1;
    for tag in ["a", "d", "g", "i"] {
        assert_eq!(site.get("/").await?.text, format!("page {call}"));
        site.pages.purge_tag("z").await?;
        assert_eq!(site.get("/").await?.text, format!("page {call}"));
        site.pages.purge_tag(tag).await?;
        call += 1;
        assert_eq!(site.get("/").await?.text, format!("page {call}"), "{tag}");
    }
    Ok(())
}

#[tokio::test]
async fn a_purge_reaches_what_is_being_fetched() -> anyhow::Result<()> {
    for tag in ["/", "h"] {
        let gate = Arc::new(Semaphore::new(0));
        let handed = Arc::clone(&gate);
        let site = Site::with(pages().build()?, move |_, call| {
            let gate = Arc::clone(&handed);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok::<Response<Body>, _>(page(call, TAGGED).map(Body::from))
            }
        })?;
        let early = tokio::spawn({
            let site = site.clone();
            async move { site.get("/").await }
        });
        while site.calls() == 0 {
            tokio::task::yield_now().await;
        }
        site.pages.purge_tag(tag).await?;
        let late = site.get("/");
        tokio::pin!(late);
        assert!(futures_util::poll!(&mut late).is_pending());
        gate.add_permits(2);
        assert_eq!(early.await??.text, "page 1", "it asked before the purge");
        assert_eq!(late.await?.text, "page 2", "{tag}");
        assert_eq!(site.get("/").await?.text, "page 2");
    }
    Ok(())
}

#[tokio::test]
async fn a_change_purges_its_path_unless_it_was_refused() -> anyhow::Result<()> {
    let site = Site::new(pages(), |request, call| {
        let mut response = page(call, MINUTE);
        if request.headers.contains_key("x-refused") {
            *response.status_mut() = StatusCode::CONFLICT;
        }
        Ok(response)
    })?;
    for uri in ["/a?x=1", "/a?x=2", "/b"] {
        site.get(uri).await?;
    }
    let refused = request(Method::POST, "/a", &[("x-refused", "1")]);
    assert_eq!(site.send(refused).await?.text, "page 4");
    assert_eq!(site.get("/a?x=1").await?.text, "page 1");
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let before = site.calls();
        site.send(request(method, "/a", MINUTE)).await?;
        site.get("/a?x=1").await?;
        site.get("/a?x=2").await?;
        site.get("/b").await?;
        assert_eq!(site.calls(), before + 3);
    }
    Ok(())
}

#[tokio::test]
async fn a_clear_forgets_everything() -> anyhow::Result<()> {
    let site = Site::of_headers(pages(), MINUTE)?;
    site.get("/a").await?;
    site.get("/b").await?;
    site.pages.clear().await?;
    assert_eq!(site.get("/a").await?.text, "page 3");
    assert_eq!(site.get("/b").await?.text, "page 4");
    Ok(())
}

type Seen = Arc<Mutex<Vec<String>>>;

/// A server that notes what it is asked, and how many purges it refuses first.
async fn edge(refusals: usize) -> anyhow::Result<(String, Seen)> {
    async fn note(State((seen, refusals)): State<(Seen, usize)>, request: Request) -> StatusCode {
        let tags = request.headers().get_all("surrogate-key").iter();
        let tags: Vec<_> = tags.map(|tags| tags.to_str().unwrap_or_default()).collect();
        let key = request
            .headers()
            .get("x-key")
            .map_or("", |key| key.to_str().unwrap_or_default());
        let (method, path) = (request.method(), request.uri().path());
        let mut seen = seen.lock().unwrap();
        seen.push(format!("{method} {path} {key} {}", tags.join("|")));
        if seen.len() > refusals {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
    let seen = Seen::default();
    let app = Router::new()
        .fallback(note)
        .with_state((Arc::clone(&seen), refusals));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/purge", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((address, seen))
}

#[tokio::test]
async fn the_cdn_is_told_after_the_cache() -> anyhow::Result<()> {
    let (address, seen) = edge(1).await?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let cdn = HttpPurge::new(client, &address)?.header("x-key".parse()?, "secret".parse()?);
    let site = Site::of_headers(pages().cdn(cdn), TAGGED)?;
    site.get("/articles/7").await?;
    let refused = site
        .pages
        .purge_tag("a")
        .await
        .expect_err("it refuses the first");
    assert!(refused.is_transient(), "{refused}");
    assert!(matches!(
        refused,
        PurgeError::Refused(StatusCode::SERVICE_UNAVAILABLE)
    ));
    assert_eq!(
        site.get("/articles/7").await?.text,
        "page 2",
        "here it has happened"
    );
    site.pages.purge_tag("a").await?;
    site.pages.purge_path("/articles/7").await?;
    let many: Vec<String> = (0..150).map(|tag| tag.to_string()).collect();
    site.pages.purge_tags(&many).await?;
    site.pages.purge_tags::<[&str; 0]>([]).await?;
    assert_eq!(site.get("/articles/7").await?.text, "page 3");
    let seen = seen.lock().unwrap().clone();
    let (hundred, rest) = (many[..100].join(" "), many[100..].join(" "));
    let expected = [
        "PURGE /purge secret a".to_owned(),
        "PURGE /purge secret a".to_owned(),
        "PURGE /articles/7 secret ".to_owned(),
        format!("PURGE /purge secret {hundred}"),
        format!("PURGE /purge secret {rest}"),
    ];
    assert_eq!(seen, expected);
    let broken = site
        .pages
        .purge_tag("line\nbreak")
        .await
        .expect_err("no header has it");
    assert!(matches!(broken, PurgeError::Malformed(_)) && !broken.is_transient());
    Ok(())
}

#[tokio::test]
async fn an_edge_that_cannot_be_reached_is_an_error() -> anyhow::Result<()> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    // Nobody listens on a port that was just given back.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await?
        .local_addr()?;
    let cdn = HttpPurge::new(client.clone(), &format!("http://{free}/"))?;
    let site = Site::of_headers(pages().cdn(cdn), MINUTE)?;
    let failed = site
        .pages
        .purge_tag("a")
        .await
        .expect_err("nobody is there");
    assert!(matches!(failed, PurgeError::Unreachable(_)) && failed.is_transient());
    for address in ["/no/host", "example.com", "http://", "not an address"] {
        let error = HttpPurge::new(client.clone(), address).expect_err(address);
        assert!(matches!(error, PurgeError::Malformed(_)), "{address}");
    }
    Ok(())
}

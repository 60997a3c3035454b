//! Bodies that are kept, and bodies that pass through.

use super::{MINUTE, Site, page, pages};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full, StreamBody};
use perf_cache::http::ResponseCache;
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex};
use tower::{Layer, Service, service_fn};

type Frames = Vec<Result<Frame<Bytes>, io::Error>>;

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// A site whose body comes in these frames.
fn framed(cache: ResponseCache, frames: fn() -> Frames) -> anyhow::Result<Site> {
    Site::with(cache, move |_, call| async move {
        let body = StreamBody::new(stream::iter(frames()));
        Ok(page(call, MINUTE).map(|_| body))
    })
}

#[tokio::test]
async fn a_body_of_several_frames_is_kept_whole() -> anyhow::Result<()> {
    let site = framed(pages().max_body(6).build()?, || {
        vec![data("ab"), data(""), data("cdef")]
    })?;
    for _ in 0..2 {
        let answer = site.get("/").await?;
        assert_eq!(
            (&*answer.text, answer.header("content-length")),
            ("abcdef", "6")
        );
    }
    assert_eq!(site.calls(), 1);
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_too_long_streams_on_unharmed() -> anyhow::Result<()> {
    let site = framed(pages().max_body(5).build()?, || {
        vec![data("ab"), data("cdef"), data("gh")]
    })?;
    for call in 1..4 {
        let answer = site.get("/").await?;
        assert_eq!(
            (&*answer.text, answer.header("content-length")),
            ("abcdefgh", "")
        );
        assert_eq!(site.calls(), call);
    }
    Ok(())
}

/// The client has the first frames before the service has made the last.
#[tokio::test]
async fn what_is_too_long_is_not_waited_for() -> anyhow::Result<()> {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(4);
    let body = Arc::new(Mutex::new(Some(body)));
    let inner = service_fn(move |_: Request<()>| {
        let body = body.lock().unwrap().take().expect("it is called once");
        ready(Ok::<_, io::Error>(page(1, MINUTE).map(|_| body)))
    });
    let mut service = pages().max_body(5).build()?.layer(inner);
    sender.send_data("abcdef".into()).await?;
    let response = service.call(super::request(Method::GET, "/", &[])).await?;
    let mut body = response.into_body();
    let first = body.frame().await.expect("a frame")?;
    assert_eq!(first.into_data().expect("data"), "abcdef");
    sender.send_data("gh".into()).await?;
    drop(sender);
    assert_eq!(body.collect().await?.to_bytes(), "gh");
    Ok(())
}

/// A body whose length is known beforehand is not even begun.
#[tokio::test]
async fn a_length_is_believed() -> anyhow::Result<()> {
    let inner = service_fn(|_: Request<()>| {
        let page = page(1, MINUTE).map(|_| Full::<Bytes>::from("abcdefgh"));
        ready(Ok::<_, io::Error>(page))
    });
    let mut service = pages().max_body(5).build()?.layer(inner);
    let response = service.call(super::request(Method::GET, "/", &[])).await?;
    assert_eq!(response.body().size_hint().exact(), Some(8));
    assert_eq!(response.into_body().collect().await?.to_bytes(), "abcdefgh");
    Ok(())
}

/// A body that breaks off, and one with trailers, reach the client as they are.
#[tokio::test]
async fn a_body_that_does_not_end_well_is_not_kept() -> anyhow::Result<()> {
    let broken = framed(pages().build()?, || {
        vec![data("ab"), Err(io::Error::other("cut"))]
    })?;
    for call in 1..3 {
        let error = broken.get("/").await.err().expect("the client sees it");
        assert_eq!(
            (error.to_string(), broken.calls()),
            ("cut".to_owned(), call)
        );
    }
    let trailed = framed(pages().build()?, || {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().expect("a value"));
        vec![data("ab"), Ok(Frame::trailers(trailers))]
    })?;
    for call in 1..3 {
        assert_eq!(
            (trailed.get("/").await?.text, trailed.calls()),
            ("ab".to_owned(), call)
        );
    }
    let short = Site::new(pages(), |_, call| {
        let response = Response::builder().header("cache-control", "max-age=60");
        let response = response.header("content-length", "9");
        Ok(response
            .body(format!("page {call}"))
            .expect("the headers are sound"))
    })?;
    assert_eq!(short.get("/").await?.text, "page 1");
    assert_eq!(short.get("/").await?.text, "page 2");
    Ok(())
}

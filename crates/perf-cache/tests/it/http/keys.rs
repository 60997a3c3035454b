//! Which requests are the same.

use super::{MINUTE, Site, page, pages};

#[tokio::test]
async fn parameters_that_do_not_matter_do_not_count() -> anyhow::Result<()> {
    let site = Site::of_headers(pages().query_except(["utm_*", "fbclid"]), MINUTE)?;
    for uri in ["/?a=1&b=2", "/?b=2&utm_source=x&a=1", "/?a=1&fbclid=9&b=2"] {
        assert_eq!(site.get(uri).await?.text, "page 1", "{uri}");
    }
    assert_eq!(site.get("/?a=2&b=2").await?.text, "page 2");
    let site = Site::of_headers(pages().query_only(["page"]), MINUTE)?;
    assert_eq!(site.get("/?page=1&x=1").await?.text, "page 1");
    assert_eq!(site.get("/?x=2&page=1").await?.text, "page 1");
    assert_eq!(site.get("/?page=2").await?.text, "page 2");
    let site = Site::of_headers(pages(), MINUTE)?;
    for (uri, expected) in [
        ("/?a&b", "page 1"),
        ("/?b&a", "page 2"),
        ("/?a&b", "page 1"),
    ] {
        assert_eq!(site.get(uri).await?.text, expected, "{uri}");
    }
    Ok(())
}

#[tokio::test]
async fn hosts_have_their_own_pages_unless_they_are_one() -> anyhow::Result<()> {
    let site = Site::of_headers(pages(), MINUTE)?;
    let shop = Site::of_headers(pages().any_host(), MINUTE)?;
    for (host, expected) in [
        ("a.example", "page 1"),
        ("b.example", "page 2"),
        ("a.example", "page 1"),
    ] {
        let headers = [("host", host)];
        assert_eq!(site.get_with("/", &headers).await?.text, expected);
        assert_eq!(shop.get_with("/", &headers).await?.text, "page 1");
    }
    assert_eq!(site.get("http://a.example/").await?.text, "page 1");
    Ok(())
}

#[tokio::test]
async fn what_a_page_varies_by_tells_its_variants_apart() -> anyhow::Result<()> {
    const VARIES: &[(&str, &str)] = &[
        ("cache-control", "max-age=60"),
        ("vary", "Accept-Language, accept-encoding"),
    ];
    let site = Site::new(pages(), |request, call| {
        let mut response = page(call, VARIES);
        let language = request.headers.get("accept-language");
        let language = language.map_or("none", |language| language.to_str().expect("text"));
        response.body_mut().push_str(language);
        Ok(response)
    })?;
    for _ in 0..3 {
        for (language, expected) in [("de", "page 1de"), ("en", "page 2en"), ("fr", "page 3fr")] {
            let headers = [("accept-language", language), ("x-other", language)];
            assert_eq!(site.get_with("/", &headers).await?.text, expected);
        }
        assert_eq!(site.get("/").await?.text, "page 4none");
    }
    site.pages.purge_path("/").await?;
    let calls: Vec<_> = ["en", "de", "en", "de"]
        .map(|language| [("accept-language", language)])
        .into();
    let mut texts = Vec::new();
    for headers in &calls {
        texts.push(site.get_with("/", headers).await?.text);
    }
    assert_eq!(texts, ["page 5en", "page 6de", "page 5en", "page 6de"]);
    Ok(())
}

/// Several variants at once, of a page that nobody knew to vary.
#[tokio::test]
async fn variants_that_miss_together_do_not_mix() -> anyhow::Result<()> {
    const VARIES: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("vary", "accept-language")];
    let site = Site::with(pages().build()?, |request, call| async move {
        tokio::task::yield_now().await;
        let language = request.headers["accept-language"]
            .to_str()
            .expect("text")
            .to_owned();
        let mut response = page(call, VARIES);
        *response.body_mut() = language;
        Ok(response.map(super::Body::from))
    })?;
    let languages = ["de", "en", "fr", "it"];
    let clients = (0..40).map(|client| {
        let site = site.clone();
        async move {
            let language = languages[client % 4];
            let answer = site.get_with("/", &[("accept-language", language)]).await?;
            assert_eq!(answer.text, language);
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(clients).await?;
    assert_eq!(site.calls(), 4);
    Ok(())
}

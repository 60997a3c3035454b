use crate::page::PageInfo;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What would end the target of a link, or its header, before its time.
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

impl PageInfo {
    /// The value of an RFC 8288 `Link` header: the first page, and the next and previous ones that exist.
    ///
    /// `target` is the request's path and query; where it says where to start, the link says otherwise.
    /// `None` when there is nowhere to go.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_paginate::Error> {
    /// use perf_paginate::{Field, PageQuery, Paginator, Plain, Schema, SliceSource};
    ///
    /// let schema = Schema::builder("n").field(Field::new("n", |n: &i64| *n)).key(["n"]).build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, vec![1, 2, 3]), Plain);
    /// let page = paginator.page(&PageQuery::parse("size=2&page=1")?).await?;
    ///
    /// let links = page.info.links("/numbers?size=2&page=1").unwrap_or_default();
    /// assert!(links.starts_with(r#"</numbers?size=2&cursor="#));
    /// assert!(links.ends_with(r#">; rel="next""#));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn links(&self, target: &str) -> Option<String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let kept: Vec<&str> = query.split('&').filter(|pair| !is_start(pair)).collect();
        let link = |cursor: Option<&str>, relation: &str| {
            let cursor = cursor.map(|cursor| format!("cursor={cursor}"));
            let pairs: Vec<&str> = kept.iter().copied().chain(cursor.as_deref()).collect();
            let separator = if pairs.is_empty() { "" } else { "?" };
            let target = format!("{path}{separator}{}", pairs.join("&"));
            format!(
                "<{}>; rel=\"{relation}\"",
                utf8_percent_encode(&target, UNSAFE)
            )
        };
        let links = [
            self.has_prev.then(|| link(None, "first")),
            self.prev
                .as_ref()
                .map(|cursor| link(Some(cursor.as_str()), "prev")),
            self.next
                .as_ref()
                .map(|cursor| link(Some(cursor.as_str()), "next")),
        ];
        let links: Vec<String> = links.into_iter().flatten().collect();
        (!links.is_empty()).then(|| links.join(", "))
    }
}

/// Whether a pair says where to start; an empty one says nothing and goes too.
fn is_start(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    let name = percent_decode_str(name).decode_utf8_lossy();
    matches!(name.as_ref(), "" | "page" | "offset" | "cursor")
}

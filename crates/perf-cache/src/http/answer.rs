//! What a client is told from what is kept.

use super::body::ResponseBody;
use super::rules::OF_THE_CONNECTION;
use super::stored::Stored;
use bytes::Bytes;
use http::header::{
    AGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, TRANSFER_ENCODING,
};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::SystemTime;

/// Where an answer came from, as RFC 9211 writes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    Hit,
    Stale,
    /// From the call of another request.
    Shared,
    /// From a call for this request, and kept.
    Fetched,
    /// From a call for this request alone.
    Passed,
    /// The cache was not asked.
    Bypassed,
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

impl Origin {
    /// Says so in `headers`.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let status = HeaderValue::from_static(match self {
            Self::Hit => "perf-cache; hit",
            Self::Stale => "perf-cache; hit; detail=stale",
            Self::Shared => "perf-cache; fwd=miss; collapsed",
            Self::Fetched => "perf-cache; fwd=miss; stored",
            Self::Passed => "perf-cache; fwd=miss",
            Self::Bypassed => "perf-cache; fwd=bypass",
        });
        headers.append(CACHE_STATUS, status);
    }
}

/// The response for a client that sent these headers.
pub(super) fn answer<B: Body>(
    stored: &Stored,
    headers: &HeaderMap,
    is_head: bool,
    origin: Origin,
    now: SystemTime,
) -> Response<ResponseBody<B>> {
    let is_known = stored.status == StatusCode::OK && has_it(headers, &stored.headers);
    let body = if is_known || is_head {
        Bytes::new()
    } else {
        stored.body.clone()
    };
    let mut response = Response::new(ResponseBody::whole(body));
    *response.status_mut() = stored.status;
    *response.headers_mut() = stored.headers.clone();
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        for name in [CONTENT_LENGTH, CONTENT_TYPE] {
            response.headers_mut().remove(name);
        }
    }
    let age = HeaderValue::from(stored.age(now).as_secs());
    response.headers_mut().insert(AGE, age);
    origin.tell(response.headers_mut());
    response
}

/// A response that the cache itself makes, for want of one.
pub(super) fn apology<B: Body>(status: StatusCode) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Makes the headers of a response fit what is kept of it.
pub(super) fn prepare(status: StatusCode, headers: &mut HeaderMap, body: &Bytes) {
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if status == StatusCode::OK && !headers.contains_key(ETAG) {
        headers.insert(ETAG, entity_tag(body));
    }
}

/// Whether the body is as long as was announced: one that breaks off is not always an error.
pub(super) fn is_complete(headers: &HeaderMap, body: &Bytes) -> bool {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.filter(|_| !headers.contains_key(TRANSFER_ENCODING));
    announced.is_none_or(|length| *length == body.len().to_string())
}

/// A strong validator of the body's bytes.
fn entity_tag(body: &Bytes) -> HeaderValue {
    let mut tag = String::from("\"");
    for byte in Sha256::digest(body).iter().take(16) {
        // Writing to a string cannot fail.
        let _written = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::try_from(tag).expect("hexadecimal digits are fit for a header")
}

/// Whether the client has this response already.
fn has_it(request: &HeaderMap, response: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let own = response.get(ETAG).and_then(|tag| tag.to_str().ok());
        let texts = request.get_all(IF_NONE_MATCH).iter();
        let mut tags = texts
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','));
        return tags.any(|tag| {
            let tag = tag.trim();
            tag == "*" || own.is_some_and(|own| strong(own) == strong(tag))
        });
    }
    let date = |value: Option<&HeaderValue>| httpdate::parse_http_date(value?.to_str().ok()?).ok();
    let asked = date(request.get(IF_MODIFIED_SINCE));
    let modified = date(response.get(LAST_MODIFIED));
    asked
        .zip(modified)
        .is_some_and(|(asked, modified)| modified <= asked)
}

/// A tag without the mark of weakness, which a comparison of this kind does not regard.
fn strong(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn headers<const N: usize>(pairs: [(HeaderName, &'static str); N]) -> HeaderMap {
        let pair = |(name, value)| (name, HeaderValue::from_static(value));
        pairs.into_iter().map(pair).collect()
    }

    #[test]
    fn a_client_has_what_one_of_its_tags_names() {
        let response = headers([
            (ETAG, "W/\"b\""),
            (LAST_MODIFIED, "Sat, 21 Nov 2026 10:00:00 GMT"),
        ]);
        for (tags, expected) in [
            ("\"a\", \"b\"", true),
            ("W/\"b\"", true),
            ("*", true),
            ("\"a\"", false),
            ("b", false),
        ] {
            let request = headers([(IF_NONE_MATCH, tags)]);
            assert_eq!(has_it(&request, &response), expected, "{tags}");
        }
        // Tags go before dates.
        let both = headers([
            (IF_NONE_MATCH, "\"a\""),
            (IF_MODIFIED_SINCE, "Sat, 21 Nov 2026 11:00:00 GMT"),
        ]);
        assert!(!has_it(&both, &response));
    }

    #[test]
    fn a_client_has_what_was_not_modified_since() {
        let response = headers([(LAST_MODIFIED, "Sat, 21 Nov 2026 10:00:00 GMT")]);
        for (date, expected) in [
            ("Sat, 21 Nov 2026 10:00:00 GMT", true),
            ("Sat, 21 Nov 2026 09:59:59 GMT", false),
            ("yesterday", false),
        ] {
            let request = headers([(IF_MODIFIED_SINCE, date)]);
            assert_eq!(has_it(&request, &response), expected, "{date}");
        }
    }

    #[test]
    fn a_body_shorter_than_announced_is_incomplete() {
        let body = Bytes::from_static(b"four");
        assert!(is_complete(&headers([]), &body));
        assert!(is_complete(&headers([(CONTENT_LENGTH, "4")]), &body));
        assert!(!is_complete(&headers([(CONTENT_LENGTH, "5")]), &body));
    }
}

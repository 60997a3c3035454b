//! What headers say to caches, beyond what the rules of RFC 9111 need.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, EXPIRES, HeaderName, HeaderValue, PRAGMA, VARY};
use std::time::Duration;

/// The header that names the tags of a response, with spaces between.
pub(super) const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// All `Cache-Control` in lower case; `None` if there is some that is no text. Directives are the same in
/// any case, but the rules compare them as they stand.
pub(super) fn cache_control(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let values: Result<Vec<_>, _> = values.map(HeaderValue::to_str).collect();
    Some(values.ok()?.join(", ").to_ascii_lowercase())
}

/// Whether a directive stands in `control`, which is in lower case.
pub(super) fn has(control: &str, name: &str) -> bool {
    each(control).any(|(own, _)| own == name)
}

/// The number of seconds that a directive gives.
pub(super) fn seconds(control: &str, name: &str) -> Option<Duration> {
    let (_, value) = each(control).find(|(own, _)| *own == name)?;
    value?
        .trim_matches('"')
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn each(control: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    control.split(',').map(|directive| {
        let directive = directive.trim();
        let split = directive.split_once('=');
        split.map_or((directive, None), |(name, value)| {
            (name.trim(), Some(value.trim()))
        })
    })
}

/// Whether a response says nothing of how long it may be kept.
pub(super) fn says_nothing(headers: &HeaderMap) -> bool {
    ![CACHE_CONTROL, EXPIRES, PRAGMA]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// The request headers by which a response varies, sorted; `None` if by what nobody can know.
pub(super) fn varies(headers: &HeaderMap) -> Option<Box<[HeaderName]>> {
    let mut names = Vec::new();
    for value in headers.get_all(VARY) {
        for name in value.to_str().ok()?.split(',').map(str::trim) {
            if !name.is_empty() {
                // An asterisk is no name of a header.
                names.push(name.parse::<HeaderName>().ok().filter(|_| name != "*")?);
            }
        }
    }
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    Some(names.into())
}

/// The tags that a response names.
pub(super) fn surrogate_keys(headers: &HeaderMap) -> Vec<Box<str>> {
    let values = headers.get_all(SURROGATE_KEY).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(str::split_ascii_whitespace)
        .map(Box::from)
        .collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn directives_are_read_in_any_case_and_from_several_lines() {
        let headers = headers(&[
            ("cache-control", "Max-Age=5, PRIVATE"),
            ("cache-control", "stale-if-error=\"9\""),
        ]);
        let control = cache_control(&headers).unwrap();
        assert!(has(&control, "private") && !has(&control, "public"));
        assert_eq!(seconds(&control, "max-age"), Some(Duration::from_secs(5)));
        let error = seconds(&control, "stale-if-error");
        assert_eq!(error, Some(Duration::from_secs(9)));
        assert_eq!(seconds(&control, "s-maxage"), None);
    }

    #[test]
    fn an_asterisk_is_no_header_to_vary_by() {
        let by_two = headers(&[("vary", "Accept , accept-language"), ("vary", "ACCEPT")]);
        let names = varies(&by_two).unwrap();
        assert_eq!(&*names, ["accept", "accept-language"]);
        assert_eq!(varies(&headers(&[("vary", "accept, *")])), None);
        assert_eq!(varies(&headers(&[])), Some(Box::default()));
    }

    #[test]
    fn surrogate_keys_stand_between_spaces() {
        let headers = headers(&[("surrogate-key", "a b"), ("surrogate-key", " c ")]);
        assert_eq!(
            surrogate_keys(&headers),
            ["a", "b", "c"].map(Box::<str>::from)
        );
    }
}

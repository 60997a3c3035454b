use super::decimal::Text;
use crate::limiter::Decision;
use crate::quota::{Limit, Quota};
use ::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Sets `RateLimit` and `RateLimit-Policy`.
///
/// Each limit is a policy, named as it is written. `q` is its count, `w` its period where that is whole
/// seconds, `r` how many calls may follow at once. `t` is rounded up: seconds until the call may be
/// repeated if it was denied, until the whole burst is back otherwise.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{RateLimiter, http::set_headers};
///
/// let quota = "10/second; 300/minute burst 20".parse()?;
/// let decision = RateLimiter::new(&quota).check();
/// let mut headers = http::HeaderMap::new();
/// set_headers(&mut headers, &quota, &decision);
/// let policies = r#""10/second";q=10;w=1, "300/minute burst 20";q=300;w=60"#;
/// assert_eq!(headers["ratelimit-policy"], policies);
/// assert_eq!(headers["ratelimit"], r#""10/second";r=9;t=1"#);
/// # Ok(())
/// # }
/// ```
pub fn set_headers(headers: &mut HeaderMap, quota: &Quota, decision: &Decision) {
    Policies::of(quota.clone()).set(headers, decision);
}

/// A quota as headers write it. It is written once, for a response adds no more to it than two numbers.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) quota: Quota,
    value: HeaderValue,
    names: Box<[(Limit, Box<str>)]>,
}

impl Policies {
    pub(super) fn of(quota: Quota) -> Self {
        let limits = quota.limits().iter();
        let name = |limit: &Limit| (*limit, limit.to_string().into());
        Self {
            names: limits.map(name).collect(),
            value: value(policies(&quota)),
            quota,
        }
    }

    /// Sets `RateLimit` and `RateLimit-Policy`.
    pub(super) fn set(&self, headers: &mut HeaderMap, decision: &Decision) {
        let limit = decision.limit();
        let known = self.names.iter().find(|(own, _)| *own == limit);
        let rate_limit = match known {
            Some((_, name)) => rate_limit(name, decision),
            // A caller with a limit of its own.
            None => rate_limit(&limit.to_string(), decision),
        };
        headers.insert(RATE_LIMIT, rate_limit);
        headers.insert(RATE_LIMIT_POLICY, self.value.clone());
    }
}

fn rate_limit(name: &str, decision: &Decision) -> HeaderValue {
    let time = if decision.is_allowed() {
        decision.reset_after()
    } else {
        decision.retry_after()
    };
    let mut text = Text::<128>::new();
    text.push("\"");
    text.push(name);
    text.push("\";r=");
    text.push_number(decision.remaining().into());
    text.push(";t=");
    text.push_number(seconds(time));
    HeaderValue::from_bytes(text.as_ref()).expect("it is all visible ASCII")
}

/// The value of a `Retry-After` header: whole seconds, rounded up, at least one. To come back after so long
/// is never too early.
///
/// ```
/// use perf_breaker::http::retry_after;
/// use std::time::Duration;
///
/// assert_eq!(retry_after(Duration::from_millis(20)), "1");
/// assert_eq!(retry_after(Duration::from_millis(2_001)), "3");
/// ```
#[must_use]
pub fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(seconds(wait).max(1))
}

/// The wait that a `Retry-After` header asks for at `now`: whole seconds, or until a date. `None` if there is
/// none that can be read.
///
/// A classifier makes [`Outcome::OpenFor`](crate::Outcome::OpenFor) of it.
///
/// ```
/// use perf_breaker::http::parse_retry_after;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let now = UNIX_EPOCH + Duration::from_secs(784_111_760);
/// let parse = |value| {
///     let headers = http::HeaderMap::from_iter([(http::header::RETRY_AFTER, value)]);
///     parse_retry_after(&headers, now)
/// };
/// let in_seconds = http::HeaderValue::from_static("120");
/// assert_eq!(parse(in_seconds), Some(Duration::from_secs(120)));
/// let as_date = http::HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
/// assert_eq!(parse(as_date), Some(Duration::from_secs(17)));
/// assert_eq!(parse(http::HeaderValue::from_static("soon")), None);
/// ```
#[must_use]
pub fn parse_retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is no less of a wait.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    // A date that has passed asks for no wait.
    Some(date.duration_since(now).unwrap_or_default())
}

fn policies(quota: &Quota) -> String {
    let mut text = String::new();
    for limit in quota.limits() {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _infallible = write!(text, "{separator}\"{limit}\";q={}", limit.count());
        let period = limit.period();
        if period.subsec_nanos() == 0 {
            let _infallible = write!(text, ";w={}", period.as_secs());
        }
    }
    text
}

/// Rounded up.
pub(super) fn seconds(time: Duration) -> u64 {
    let part = u64::from(time.subsec_nanos() > 0);
    time.as_secs().saturating_add(part)
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("a limit is written in letters, digits, spaces and slashes")
}

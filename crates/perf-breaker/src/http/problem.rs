use super::headers::{retry_after, seconds, set_headers};
use crate::limiter::Decision;
use crate::quota::Quota;
use ::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use ::http::{Response, StatusCode};
use std::time::Duration;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The answer to a call that a limiter denied: status 429, the limits, and when to come back.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_breaker::{RateLimiter, http::too_many_requests};
///
/// let quota = "1/minute".parse()?;
/// let limiter = RateLimiter::new(&quota);
/// assert!(limiter.check().is_allowed());
/// let response: http::Response<String> = too_many_requests(&quota, &limiter.check());
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["retry-after"], "60");
/// assert_eq!(response.headers()["ratelimit"], r#""1/minute";r=0;t=60"#);
/// assert!(response.body().contains(r#""violated-policies":["1/minute"]"#));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn too_many_requests<B: From<String>>(quota: &Quota, decision: &Decision) -> Response<B> {
    let body = format!(
        "{{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
         \"title\":\"Too many requests\",\"status\":429,\"violated-policies\":[\"{}\"]}}",
        decision.limit()
    );
    let mut response = problem(StatusCode::TOO_MANY_REQUESTS, body, decision.retry_after());
    set_headers(response.headers_mut(), quota, decision);
    response
}

/// The answer to a call that was not made because what it needs is not available: status 503 and when to
/// come back. What it needs is not told to the outside.
///
/// ```
/// use perf_breaker::http::unavailable;
/// use std::time::Duration;
///
/// let response: http::Response<String> = unavailable(Duration::from_millis(4_200));
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()["retry-after"], "5");
/// ```
#[must_use]
pub fn unavailable<B: From<String>>(wait: Duration) -> Response<B> {
    let body = format!(
        "{{\"type\":\"about:blank\",\"title\":\"Service unavailable\",\"status\":503,\
         \"detail\":\"Try again in {} s\"}}",
        seconds(wait).max(1)
    );
    problem(StatusCode::SERVICE_UNAVAILABLE, body, wait)
}

fn problem<B: From<String>>(status: StatusCode, body: String, wait: Duration) -> Response<B> {
    let mut response = Response::new(B::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM);
    headers.insert(RETRY_AFTER, retry_after(wait));
    response
}

//! Limits over HTTP: whose they are, and what a caller is told.

use crate::support::SECOND;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderName, Request, Response};
use perf_breaker::http::{
    ClientAddress, HeaderKey, KeyExtractor, LimitLayer, parse_retry_after, retry_after,
};
use perf_breaker::{
    CircuitBreaker, GuardError, Hold, KeyedLimiter, MemoryStore, Outcome, RateLimitLayer,
    RateLimiter, SharedLimiter,
};
use perf_core::ManualClock;
use perf_testkit::allocations::count;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tower::{Layer, Service, ServiceExt, service_fn};

fn request(peer: &str, forwarded: &[&str]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(ConnectInfo(peer));
    for line in forwarded {
        let line = line.parse().unwrap();
        request.headers_mut().append("x-forwarded-for", line);
    }
    request
}

fn key(extractor: ClientAddress, request: &Request<Body>) -> String {
    extractor.key(request).map(|key| key.to_string()).unwrap()
}

#[test]
fn whatever_a_client_writes_only_ones_own_proxies_are_believed() {
    let peer = "10.0.0.1:5000";
    let (direct, behind) = (ClientAddress::of_extension(), |hops| {
        ClientAddress::of_connect_info().behind(hops)
    });
    for (forwarded, hops, expected) in [
        (&["9.9.9.9"][..], 0, "10.0.0.1"),
        (&["203.0.113.7"], 1, "203.0.113.7"),
        (&["9.9.9.9, 203.0.113.7"], 1, "203.0.113.7"),
        (&["9.9.9.9,8.8.8.8 , 203.0.113.7:4711"], 1, "203.0.113.7"),
        (&["9.9.9.9", "203.0.113.7"], 1, "203.0.113.7"),
        (&["9.9.9.9, 203.0.113.7", "10.0.0.2"], 2, "203.0.113.7"),
        (&["203.0.113.7, 10.0.0.3, 10.0.0.2"], 3, "203.0.113.7"),
        // Past the proxies, or nonsense: whoever is at the other end.
        (&["203.0.113.7"], 2, "10.0.0.1"),
        (&[], 1, "10.0.0.1"),
        (&["203.0.113.7, unknown"], 1, "10.0.0.1"),
        (&["203.0.113.7,"], 1, "10.0.0.1"),
        (&["\"; DROP TABLE\""], 1, "10.0.0.1"),
        (&["[2001:db8:1:2:3:4:5:6]:443"], 1, "2001:db8:1:2::/64"),
    ] {
        let request = request(peer, forwarded);
        assert_eq!(key(behind(hops), &request), expected, "{forwarded:?}");
        assert_eq!(key(direct, &request), "10.0.0.1");
    }
}

#[test]
fn an_ipv6_customer_is_one_caller_and_an_ipv4_one_has_one_form() {
    let address = ClientAddress::of_extension();
    for (peer, expected) in [
        ("[2001:db8:aaaa:bbbb:1::1]:1", "2001:db8:aaaa:bbbb::/64"),
        (
            "[2001:db8:aaaa:bbbb:ffff:ffff:ffff:ffff]:1",
            "2001:db8:aaaa:bbbb::/64",
        ),
        ("[2001:db8:aaaa:bbbc::1]:1", "2001:db8:aaaa:bbbc::/64"),
        ("[::ffff:198.51.100.4]:1", "198.51.100.4"),
        ("198.51.100.4:1", "198.51.100.4"),
    ] {
        assert_eq!(key(address, &request(peer, &[])), expected);
    }
    let request = request("[2001:db8:aaaa:bbbb:1111:2222:3333:4444]:1", &[]);
    let whole = address.with_ipv6_prefix(128).unwrap();
    assert_eq!(
        key(whole, &request),
        "2001:db8:aaaa:bbbb:1111:2222:3333:4444/128"
    );
    assert_eq!(
        key(address.with_ipv6_prefix(48).unwrap(), &request),
        "2001:db8:aaaa::/48"
    );
    assert!(address.with_ipv6_prefix(0).is_err() && address.with_ipv6_prefix(129).is_err());
    assert!(address.key(&Request::new(())).is_none());
}

fn router<L, X>(layer: LimitLayer<L, X>) -> Router
where
    L: perf_breaker::http::Admit,
    X: KeyExtractor<Body> + Clone + Send + Sync + 'static,
{
    Router::new().route("/", get(async || "hello")).layer(layer)
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 10_000)
        .await
        .unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_router_tells_its_limits_and_denies_with_a_problem_document() {
    let clock = ManualClock::new();
    let quota = "2/minute; 100/hour".parse().unwrap();
    let limiter = KeyedLimiter::with_clock(&quota, 100, clock.clone()).unwrap();
    let limiter = Arc::new(limiter);
    let app = router(LimitLayer::new(
        Arc::clone(&limiter),
        ClientAddress::of_extension(),
    ));
    let ask = || app.clone().oneshot(request("203.0.113.7:1", &[]));
    let response = ask().await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |response: &Response<Body>, name: &str| {
        response.headers()[name].to_str().unwrap().to_owned()
    };
    let policies = r#""2/minute";q=2;w=60, "100/hour";q=100;w=3600"#;
    assert_eq!(header(&response, "ratelimit-policy"), policies);
    assert_eq!(header(&response, "ratelimit"), r#""2/minute";r=1;t=30"#);
    assert_eq!(text(response).await, "hello");
    assert_eq!(ask().await.unwrap().status(), 200);

    clock.advance(Duration::from_millis(500));
    let denied = ask().await.unwrap();
    assert_eq!(denied.status(), 429);
    // 29.5 s: rounded up, and not earlier than what `RateLimit` says.
    assert_eq!(header(&denied, "retry-after"), "30");
    assert_eq!(header(&denied, "ratelimit"), r#""2/minute";r=0;t=30"#);
    assert_eq!(header(&denied, "content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&text(denied).await).unwrap();
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["violated-policies"][0], "2/minute");
    let kind = "https://iana.org/assignments/http-problem-types#quota-exceeded";
    assert_eq!(problem["type"], kind);

    // Somebody else has a limit of its own, and waiting as told admits.
    let other = app
        .clone()
        .oneshot(request("203.0.113.8:1", &[]))
        .await
        .unwrap();
    assert_eq!(other.status(), 200);
    clock.advance(30 * SECOND);
    assert_eq!(ask().await.unwrap().status(), 200);
    limiter
        .change(&"50/minute; 100/hour".parse().unwrap())
        .unwrap();
    let changed = ask().await.unwrap();
    assert!(header(&changed, "ratelimit-policy").starts_with(r#""50/minute";q=50;w=60"#));
}

#[tokio::test]
async fn a_limit_shared_by_a_fleet_serves_as_well() {
    let quota = "2/hour".parse().unwrap();
    let limiter = SharedLimiter::builder("api", &quota, MemoryStore::new());
    let limiter = Arc::new(limiter.build().unwrap());
    let name = HeaderName::from_static("x-api-key");
    let app = router(LimitLayer::new(limiter, HeaderKey::new(name)));
    let statuses = async |keys: &[Option<String>]| {
        let mut statuses = Vec::new();
        for key in keys {
            let mut request = Request::new(Body::empty());
            if let Some(key) = key {
                request
                    .headers_mut()
                    .insert("x-api-key", key.parse().unwrap());
            }
            let response = app.clone().oneshot(request).await.unwrap();
            statuses.push(response.status().as_u16());
        }
        statuses
    };
    for key in [Some("alice".to_owned()), None, Some("x".repeat(1 << 20))] {
        let keys = [key.clone(), key.clone(), key];
        assert_eq!(statuses(&keys).await, [200, 200, 429]);
    }
}

#[tokio::test]
async fn a_closure_finds_keys_and_one_limiter_serves_all() {
    let limiter = Arc::new(RateLimiter::new(&"3/hour".parse().unwrap()));
    let path = |request: &Request<Body>| Some(request.uri().path().to_owned());
    let app = router(LimitLayer::new(limiter, path));
    let mut allowed = 0;
    for _ in 0..10 {
        let response = app
            .clone()
            .oneshot(request("203.0.113.7:1", &[]))
            .await
            .unwrap();
        allowed += usize::from(response.status() == 200);
    }
    assert_eq!(allowed, 3);
}

#[tokio::test]
async fn refusals_are_answers_of_axum() {
    let breaker = CircuitBreaker::builder("upstream").open_for(Duration::from_millis(4_100));
    let breaker = breaker.open_jitter(0.0).build().unwrap();
    breaker.hold(Hold::Open);
    let refused: GuardError<&str> = breaker.call(async { Ok::<(), _>(()) }).await.unwrap_err();
    let response = refused.into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    let body = text(response).await;
    assert!(!body.contains("upstream"), "{body}");
    assert_eq!(breaker.admit().unwrap_err().into_response().status(), 503);

    let limiter = RateLimiter::new(&"1/hour".parse().unwrap());
    assert_eq!(limiter.check().into_response().status(), 200);
    let denied: GuardError<&str> = limiter.check().into_result().unwrap_err();
    assert_eq!(denied.into_response().status(), 429);
    let elapsed: GuardError<&str> = GuardError::Elapsed { limit: SECOND };
    assert_eq!(elapsed.into_response().status(), 504);
    let inner = GuardError::Inner((http::StatusCode::IM_A_TEAPOT, "short and stout"));
    assert_eq!(inner.into_response().status(), 418);
}

#[test]
fn waits_are_rounded_up_to_whole_seconds_and_never_to_none() {
    for (millis, expected) in [
        (0, 1),
        (1, 1),
        (999, 1),
        (1_000, 1),
        (1_001, 2),
        (59_999, 60),
    ] {
        assert_eq!(
            retry_after(Duration::from_millis(millis)),
            expected.to_string()
        );
    }
}

#[tokio::test]
async fn the_plain_layer_allocates_nothing_and_clones_share_the_limiter() {
    let limiter = Arc::new(KeyedLimiter::new(&"1000/hour".parse().unwrap(), 100).unwrap());
    let decider = Arc::clone(&limiter);
    let layer = RateLimitLayer::new(move |key: &u8| decider.check(key));
    let service = service_fn(|key| std::future::ready(Ok::<u8, Infallible>(key)));
    let mut services = [layer.layer(service), layer.clone().layer(service)];
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(services[0].poll_ready(&mut context).is_ready());
    assert_eq!(services[0].call(7).await.unwrap(), 7);
    let allocations = count(|| {
        for call in 0..1_998 {
            let reply = futures_util::FutureExt::now_or_never(services[call % 2].call(7));
            assert_eq!(reply.unwrap().is_ok(), call < 999);
        }
    });
    assert_eq!(allocations, 0);
    let error = services[1].call(7).await.unwrap_err();
    assert!(error.is_rejection());
}

#[test]
fn no_retry_after_shuts_a_breaker_for_good() {
    let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
    let wait = |value: &'static [u8]| {
        let value = http::HeaderValue::from_bytes(value).unwrap();
        let headers = http::HeaderMap::from_iter([(http::header::RETRY_AFTER, value)]);
        parse_retry_after(&headers, now)
    };
    for unreadable in [&b""[..], b"-1", b"+5", b"1.5", b"\xff", b"5 s", b"tomorrow"] {
        assert_eq!(wait(unreadable), None, "{unreadable:?}");
    }
    assert_eq!(parse_retry_after(&http::HeaderMap::new(), now), None);
    assert_eq!(wait(b"0"), Some(Duration::ZERO));
    assert_eq!(wait(b"Sun, 06 Nov 1994 08:49:36 GMT"), Some(Duration::ZERO));
    let endless = wait(b"99999999999999999999").unwrap();
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder("test")
        .clock(clock.clone())
        .max_open(SECOND)
        .open_for(SECOND)
        .open_jitter(0.0)
        .classify(move |_: &Result<(), ()>| Outcome::OpenFor(endless))
        .build()
        .unwrap();
    assert!(breaker.run(|| Err(())).is_err());
    let wait = breaker.admit().unwrap_err().retry_after;
    assert!(wait >= SECOND && wait < 2 * SECOND, "{wait:?}");
    clock.advance(wait);
    assert!(breaker.admit().is_ok());
}

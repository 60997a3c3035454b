use crate::parts::{Puppet, ask, get};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use futures_util::StreamExt;
use perfkit::breaker::{CircuitBreaker, KeyedLimiter, Quota, State};
use perfkit::cache::{Cache, EntryPolicy};
use perfkit::core::{Clock, Health, ManualClock, Registry, SystemClock};
use perfkit::endpoints::Endpoints;
use perfkit::pool::{Pool, from_fn};
use perfkit::profile::{Objective, Profiler, RequestScope, SloMonitor};
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::test]
async fn every_part_is_told_in_its_group() {
    let registry = Registry::new();
    let cache: Cache<u32, u32> = Cache::builder("airports")
        .build()
        .expect("defaults are right");
    cache.register(&registry);
    cache.insert(1, 2).await.expect("it is kept");
    for key in [1, 1, 1, 2] {
        cache.get(&key).await;
    }
    let pool = Pool::builder(from_fn(async || io::Result::Ok(())))
        .name("database")
        .build();
    let pool = pool.expect("defaults are right");
    pool.register(&registry);
    let held = pool.acquire().await.expect("one is free");
    let breaker = CircuitBreaker::new("weather");
    breaker.register(&registry);
    let limiter =
        KeyedLimiter::new(&Quota::per_minute(1).expect("a quota"), 10).expect("a limiter");
    let limiter = Arc::new(limiter.named("clients"));
    limiter.register(&registry);
    let denied = [(); 2].map(|()| limiter.check("someone").is_allowed());
    assert_eq!(denied, [true, false]);

    let stats = get(
        &Endpoints::builder(&registry).build().router(),
        "/performance/stats",
    )
    .await;
    assert_eq!(
        (stats.status, stats.header("content-type")),
        (StatusCode::OK, "application/json")
    );
    assert_eq!(stats.header("cache-control"), "no-store");
    let stats = stats.json();
    assert_eq!(stats["cache"][0]["name"], "airports");
    assert_eq!(stats["cache"][0]["figures"]["hits"], 3);
    assert_eq!(stats["cache"][0]["figures"]["hit_rate_percent"], 75.0);
    assert_eq!(stats["breakers"][0]["name"], "weather");
    assert_eq!(stats["pools"][0]["figures"]["resources"]["in_use"], 1.0);
    assert_eq!(stats["limiter"][0]["kind"], "keyed_limiter");
    assert_eq!(stats["limiter"][0]["figures"]["denied"], 1);
    assert_eq!(stats["health"]["status"], "healthy");
    for empty in [
        "others", "routes", "queries", "findings", "latency", "actions",
    ] {
        assert_eq!(stats[empty], json!([]), "{empty}");
    }
    drop(held);
}

#[tokio::test]
async fn routes_and_latencies_come_from_the_profiler() {
    let profiler = Profiler::builder().build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..3 {
        RequestScope::new("GET /flights").run(async {}).await;
    }
    assert!(profiler.settled(Duration::from_secs(30)).await);
    let registry = Registry::new();
    profiler.register(&registry);
    let router = Endpoints::builder(&registry)
        .profiler(&profiler)
        .build()
        .router();
    let stats = get(&router, "/performance/stats").await.json();
    assert_eq!(
        (&stats["requests"], &stats["routes"][0]["requests"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(stats["routes"][0]["name"], "GET /flights");
    let counts = stats["latency"]
        .as_array()
        .expect("buckets")
        .iter()
        .map(|bucket| &bucket[1]);
    assert_eq!(counts.filter_map(serde_json::Value::as_u64).sum::<u64>(), 3);
    // A figure for each route stands with the route, not with the profiler.
    assert_eq!(stats["others"][0]["kind"], "profiler");
    assert_eq!(stats["others"][0]["figures"].get("request_seconds"), None);
}

#[tokio::test]
async fn call_paths_are_told_apart_from_the_rest() {
    let profiler = Profiler::builder().build();
    drop(perfkit::profile::span!("told"));
    let registry = Registry::new();
    let router = Endpoints::builder(&registry)
        .profiler(&profiler)
        .build()
        .router();
    let frames = get(&router, "/performance/flames").await.json();
    let told = frames
        .as_array()
        .expect("a list")
        .iter()
        .find(|frame| frame["name"] == "told");
    assert_eq!(
        told.map(|frame| (&frame["calls"], &frame["parent"])),
        Some((&json!(1), &json!(null)))
    );
    let without = Endpoints::builder(&registry).build().router();
    assert_eq!(get(&without, "/performance/flames").await.text, "[]");
}

#[tokio::test]
async fn only_objectives_and_required_parts_take_the_service_out() {
    let unhealthy = || Health::Unhealthy("open".into());
    let registry = Registry::new();
    let endpoints = Endpoints::builder(&registry)
        .requires("pool", "database")
        .build();
    let router: Router = endpoints.router();
    let check = async || {
        let answer = get(&router, "/health/performance").await;
        (
            answer.status.as_u16(),
            answer.json()["status"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(
        check().await,
        (503, Some("unhealthy".into())),
        "the pool is not there yet"
    );
    let pool = Arc::new(Puppet::new("pool", "database"));
    registry.register(&pool);
    assert_eq!(check().await, (200, Some("healthy".into())));
    let breaker = Arc::new(Puppet::new("circuit_breaker", "weather").with_health(unhealthy()));
    registry.register(&breaker);
    assert_eq!(check().await, (200, Some("degraded".into())));
    let answer = get(&router, "/health/performance").await.json();
    let expected = json!({"kind": "circuit_breaker", "name": "weather", "status": "unhealthy", "reason": "open"});
    assert_eq!(answer["parts"], json!([expected]));
    drop(pool);
    assert_eq!(check().await, (503, Some("unhealthy".into())));
    let pool = Arc::new(Puppet::new("pool", "database").with_health(unhealthy()));
    registry.register(&pool);
    assert_eq!(check().await, (503, Some("unhealthy".into())));
}

#[tokio::test]
async fn a_critical_objective_is_503_until_it_is_met_again() {
    let clock = ManualClock::new();
    let monitor = SloMonitor::builder("api")
        .objectives(Objective::web_service())
        .window(Duration::from_secs(60))
        .clock(clock.clone())
        .build();
    let registry = Registry::new();
    monitor.register(&registry);
    let router: Router = Endpoints::builder(&registry).build().router();
    let fill = |latency| (0..100).for_each(|_| monitor.record(latency, false));
    let mut seen = Vec::new();
    for latency in [50, 700, 50].map(Duration::from_millis) {
        clock.advance(Duration::from_secs(120));
        fill(latency);
        for _ in 0..3 {
            monitor.check().await;
        }
        let answer = get(&router, "/health/performance").await;
        let levels = answer.json()["objectives"].clone();
        seen.push((
            answer.status.as_u16(),
            levels[0]["level"].clone(),
            levels[0]["name"].clone(),
        ));
    }
    let name = || json!("latency_p50_seconds");
    let expected = [(200, "met"), (503, "critical"), (200, "met")];
    assert_eq!(
        seen,
        expected.map(|(status, level)| (status, json!(level), name()))
    );
}

#[tokio::test]
async fn the_page_is_complete_in_itself_and_says_so() {
    let router: Router = Endpoints::builder(&Registry::new()).build().router();
    let nested = Router::new().nest("/internal", router.clone());
    for (path, content_type) in [
        ("/performance", "text/html; charset=utf-8"),
        ("/performance/page.css", "text/css; charset=utf-8"),
        ("/performance/page.js", "text/javascript; charset=utf-8"),
    ] {
        for (router, prefix) in [(&router, ""), (&nested, "/internal")] {
            let answer = get(router, &format!("{prefix}{path}")).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (StatusCode::OK, content_type)
            );
            let policy = answer.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
                "{policy}"
            );
            let outside = answer.text.replace("http://www.w3.org/", "");
            assert!(!outside.contains("://"), "{path} names another place");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_come_at_once_then_at_each_refresh_until_closed() {
    let registry = Registry::new();
    let endpoints = Endpoints::builder(&registry)
        .refresh(Duration::from_secs(7))
        .build();
    let router: Router = endpoints.router();
    let request = || {
        Request::get("/performance/events")
            .body(Body::empty())
            .expect("a request")
    };
    let response = router
        .clone()
        .oneshot(request())
        .await
        .expect("it never fails");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = response.into_body().into_data_stream();
    let started = SystemClock.now();
    for seconds in [0, 7, 14] {
        let event = events
            .next()
            .await
            .expect("it goes on")
            .expect("it never fails");
        assert_eq!(SystemClock.now().since(started).as_secs(), seconds);
        let mut data = std::str::from_utf8(&event).expect("text").trim();
        if let Some(history) = data.strip_prefix("event: history\ndata: ") {
            assert_eq!(seconds, 0, "it is told once");
            let (before, newest) = history.split_once("\n\n").expect("two events");
            let before: serde_json::Value = serde_json::from_str(before).expect("JSON");
            assert_eq!(before.as_array().map(Vec::len), Some(1));
            data = newest;
        }
        let json: serde_json::Value =
            serde_json::from_str(data.strip_prefix("data: ").expect("an event")).expect("JSON");
        assert_eq!(json["refresh_seconds"], 7.0);
        assert_eq!(json["point"]["at"], json["uptime_seconds"]);
    }
    endpoints.close();
    assert!(events.next().await.is_none());
    let refused = router.oneshot(request()).await.expect("it never fails");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn viewers_beyond_the_limit_are_told_to_come_back() {
    let router: Router = Endpoints::builder(&Registry::new()).build().router();
    let watch = async || {
        let request = Request::get("/performance/events")
            .body(Body::empty())
            .expect("a request");
        router
            .clone()
            .oneshot(request)
            .await
            .expect("it never fails")
    };
    let mut watching = Vec::new();
    for _ in 0..64 {
        watching.push(watch().await);
    }
    assert!(
        watching
            .iter()
            .all(|response| response.status() == StatusCode::OK)
    );
    let refused = watch().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    watching.pop();
    assert_eq!(watch().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_acts_without_a_guard() {
    let breaker = CircuitBreaker::new("weather");
    let registry = Registry::new();
    let router: Router = Endpoints::builder(&registry)
        .breaker(&breaker)
        .build()
        .router();
    let path = "/performance/actions/circuit_breaker/weather/open";
    let answer = ask(&router, Method::POST, path, &[("x-perfkit-action", "1")]).await;
    assert_eq!(
        (answer.status, breaker.state()),
        (StatusCode::NOT_FOUND, State::Closed)
    );
    assert_eq!(
        get(&router, "/performance/stats").await.json()["actions"],
        json!([])
    );
}

#[tokio::test]
async fn the_guard_decides_who_acts() {
    let breaker = CircuitBreaker::new("weather / EWR");
    let router: Router = Endpoints::builder(&Registry::new())
        .breaker(&breaker)
        .actions(|head| {
            head.headers
                .get("authorization")
                .is_some_and(|token| token == "Bearer 4711")
        })
        .build()
        .router();
    let act = async |part: &str, headers: &[(&str, &str)]| {
        let path = format!("/performance/actions/circuit_breaker/{part}");
        ask(&router, Method::POST, &path, headers)
            .await
            .status
            .as_u16()
    };
    let (token, own) = (("authorization", "Bearer 4711"), ("x-perfkit-action", "1"));
    let open = "weather%20%2F%20EWR/open";
    for refused in [
        &[][..],
        &[own],
        &[token],
        &[("authorization", "Bearer 1"), own],
    ] {
        assert_eq!(act(open, refused).await, 403, "{refused:?}");
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(act(open, &[token, own]).await, 204);
    assert!(breaker.admit().is_err());
    assert_eq!(act("weather%20%2F%20EWR/reset", &[token, own]).await, 204);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(act("weather%20%2F%20EWR/explode", &[token, own]).await, 404);
    assert_eq!(act("other/open", &[token, own]).await, 404);
    let actions = get(&router, "/performance/stats").await.json()["actions"].clone();
    assert_eq!(actions[0]["actions"], json!(["open", "close", "reset"]));
}

#[tokio::test]
async fn caches_are_cleared_and_profilers_reset_by_those_who_may() {
    let registry = Registry::new();
    let cache: Cache<u32, u32> = Cache::builder("airports").build().expect("right");
    let profiler = Profiler::builder().name("api").build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    RequestScope::new("GET /flights").run(async {}).await;
    let router: Router = Endpoints::builder(&registry)
        .cache(&cache)
        .profiler(&profiler)
        .actions(|head| head.headers.contains_key("x-operator"))
        .build()
        .router();
    let act = async |path: &str| {
        let path = format!("/performance/actions/{path}");
        let headers = [("x-operator", "1"), ("x-perfkit-action", "1")];
        let answer = ask(&router, Method::POST, &path, &headers).await;
        answer.status.as_u16()
    };
    let keep = async |key: u32, tag: &str| {
        let policy = EntryPolicy::new().tag(tag);
        let kept = cache.get_or_load_with(key, policy, async move || Ok::<_, io::Error>(key));
        kept.await.expect("it is loaded")
    };
    for (key, tag) in [(1, "coast / east"), (2, "west")] {
        assert_eq!(keep(key, tag).await, key);
    }
    assert_eq!(act("cache/airports/clear%20tag").await, 404, "of what?");
    assert_eq!(act("cache/airports/clear/west").await, 404);
    assert_eq!(
        (cache.get(&1).await, cache.get(&2).await),
        (Some(1), Some(2))
    );
    assert_eq!(
        act("cache/airports/clear%20tag/coast%20%2F%20east").await,
        204
    );
    assert_eq!((cache.get(&1).await, cache.get(&2).await), (None, Some(2)));
    assert_eq!(act("cache/airports/clear").await, 204);
    assert_eq!(cache.get(&2).await, None);

    let routes = async || get(&router, "/performance/stats").await.json()["routes"].clone();
    assert_eq!(routes().await[0]["name"], "GET /flights");
    assert_eq!(act("profiler/api/reset").await, 204);
    assert_eq!(routes().await, json!([]));
}

//! Every macro through the umbrella's paths; each crate's own tests have it alone.

use perfkit::bulk::BulkRow;
use perfkit::cache::{Cache, LoadError, cached, invalidates};
use perfkit::paginate::Resource;
use perfkit::profile::{Profiler, profile};
use std::convert::Infallible;
use std::sync::LazyLock;

static SQUARES: LazyLock<Cache<String, u64>> =
    LazyLock::new(|| Cache::builder("squares").build().expect("valid settings"));

#[cached(cache = SQUARES, key = "{number}", crate = ::perfkit::cache)]
async fn square(number: u64) -> Result<u64, LoadError<Infallible>> {
    Ok(number * number)
}

#[invalidates(cache = SQUARES, key = "{number}", crate = ::perfkit::cache)]
async fn forget(number: u64) -> Result<u64, Box<dyn std::error::Error>> {
    Ok(number)
}

#[profile(crate = ::perfkit::profile)]
async fn profiled() -> u8 {
    7
}

#[profile(lines, crate = ::perfkit::profile)]
fn lined() -> u8 {
    let seven = 7;
    seven + 1
}

#[derive(BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
struct Written {
    id: i64,
}

#[derive(Resource)]
#[resource(table = "flights", crate = ::perfkit::paginate)]
struct Listed {
    #[resource(key)]
    id: i64,
}

#[tokio::test]
async fn caching_macros_know_the_umbrella() {
    assert_eq!(square(3).await.expect("it loads"), 9);
    assert_eq!(SQUARES.near("3"), Some(9));
    forget(3).await.expect("it is forgotten");
    assert_eq!(SQUARES.near("3"), None);
}

#[tokio::test]
async fn the_profiling_macro_knows_the_umbrella() {
    let profiler = Profiler::builder().build();
    assert_eq!((profiled().await, lined()), (7, 8));
    let snapshot = profiler.snapshot();
    for name in ["profiled", "lined"] {
        let found = snapshot
            .functions()
            .iter()
            .find(|function| function.name == name);
        assert_eq!(found.map(|function| function.calls), Some(1), "{name}");
    }
    assert_eq!(snapshot.lines().len(), 1);
}

#[test]
fn derives_know_the_umbrella() {
    assert_eq!(<Written as BulkRow<sqlx::Sqlite>>::COLUMNS, ["id"]);
    assert_eq!(
        Listed::schema().expect("it is consistent").table(),
        "flights"
    );
    assert_eq!((Written { id: 1 }.id, Listed { id: 2 }.id), (1, 2));
}

/// The names of the prelude, each used once.
#[tokio::test]
async fn the_prelude_is_enough_for_a_service() {
    use perfkit::prelude::*;

    let registry = Registry::new();
    let settings = Settings::default();
    let cache: Cache<u8, u8> = settings
        .cache
        .builder("numbers")
        .build()
        .expect("defaults are right");
    cache.register(&registry);
    let breaker = CircuitBreaker::new("weather");
    breaker.register(&registry);
    let profiler: Profiler = settings.performance.profiler().build();
    let _endpoints: Endpoints = Endpoints::builder(&registry).profiler(&profiler).build();
    assert_eq!(registry.inspect().len(), 2);
    let quota: Quota = settings
        .rate_limit
        .quota()
        .expect("in range")
        .expect("there is a limit");
    assert_eq!(quota.to_string(), "60/minute");
}

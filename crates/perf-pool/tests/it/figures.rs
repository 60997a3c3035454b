use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, Health, Inspect, Registry, SystemClock, Value};
use perf_pool::Status;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn counter(samples: &[perf_core::Sample], name: &str) -> Option<u64> {
    samples
        .iter()
        .find(|sample| sample.name == name)
        .and_then(|sample| match sample.value {
            Value::Counter(count) => Some(count),
            _ => None,
        })
}

#[tokio::test(start_paused = true)]
async fn waits_holds_and_creations_are_measured() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(50, SeqCst);
    let pool = probe.pool().name("orders").max_size(1).build()?;
    let hold = async {
        let guard = pool.acquire().await;
        SystemClock.sleep(Duration::from_millis(200)).await;
        guard.is_ok()
    };
    let wait = async {
        settle().await;
        pool.acquire().await.is_ok()
    };
    assert_eq!(tokio::join!(hold, wait), (true, true));

    let metrics = pool.metrics();
    let near = |duration: Duration, millis: f64| {
        (duration.as_secs_f64() * 1e3 / millis - 1.0).abs() < 0.03
    };
    assert_eq!(
        (metrics.acquired, metrics.wait.count, metrics.create.count),
        (2, 2, 1)
    );
    assert!(near(metrics.create.max, 50.0), "{metrics:?}");
    assert!(near(metrics.wait.max, 250.0), "{metrics:?}");
    assert!(near(metrics.hold.max, 200.0), "{metrics:?}");

    let mut samples = Vec::new();
    pool.samples(&mut samples);
    assert_eq!(counter(&samples, "acquired"), Some(2));
    assert_eq!((pool.name().as_ref(), pool.kind()), ("orders", "pool"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn health_tells_a_dead_server_from_a_pool_that_still_works() -> TestResult {
    let probe = Probe::default();
    let pool = probe
        .pool()
        .acquire_timeout(Duration::from_secs(1))
        .build()?;
    let held = pool.acquire().await?;
    assert_eq!(pool.health(), Health::Healthy);
    probe.0.refuses.store(true, SeqCst);
    assert!(pool.acquire().await.is_err());
    assert_eq!(
        pool.health(),
        Health::Degraded("cannot create: go away".into())
    );
    perf_pool::Pooled::discard(held);
    settle().await;
    assert_eq!(
        pool.health(),
        Health::Unhealthy("cannot create: go away".into())
    );
    Ok(())
}

#[tokio::test]
async fn every_slot_is_counted_once() -> TestResult {
    let pool = Probe::default().pool().max_size(4).build()?;
    let (idle, _held) = (pool.acquire().await?, pool.acquire().await?);
    drop(idle);
    let mut expected = Status::default();
    (expected.max_size, expected.idle, expected.in_use) = (4, 1, 1);
    assert_eq!(pool.status(), expected);
    assert_eq!(pool.status().size(), 2);
    Ok(())
}

#[tokio::test]
async fn a_registered_pool_is_shown_as_long_as_it_lives() -> TestResult {
    let registry = Registry::new();
    let pool = Probe::default().pool().name("orders").build()?;
    pool.register(&registry);
    let held = pool.acquire().await?;
    drop(pool);
    let shown = registry.inspect();
    assert_eq!(
        (shown.len(), &*shown[0].name, shown[0].kind),
        (1, "orders", "pool")
    );
    drop(held);
    settle().await;
    assert!(registry.inspect().is_empty());
    Ok(())
}

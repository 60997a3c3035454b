//! Sizes that follow from what was measured.

use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, SystemClock};
use perf_pool::{Autoscale, Load, Pool, PoolError};
use std::time::Duration;

const MILLIS: Duration = Duration::from_millis(1);

/// Callers that come at random, on average one each `gap`, and hold for 20 ms, for `time`.
async fn load(pool: &Pool<Probe>, gap: Duration, time: Duration) {
    let mut random = fastrand::Rng::with_seed(7);
    let end = SystemClock.now().saturating_add(time);
    while SystemClock.now() < end {
        let pool = pool.clone();
        tokio::spawn(async move {
            let _guard = pool.acquire().await.unwrap();
            SystemClock.sleep(20 * MILLIS).await;
        });
        let wait = -gap.as_secs_f64() * (1.0 - random.f64()).ln();
        SystemClock.sleep(Duration::from_secs_f64(wait)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_load_is_measured_and_the_advice_holds() -> TestResult {
    let pool = Probe::default().pool().max_size(50).build()?;
    let (before, start) = (pool.metrics(), SystemClock.now());
    load(&pool, 10 * MILLIS, Duration::from_secs(60)).await;
    let elapsed = SystemClock.now().since(start);
    let measured = Load::between(&before, &pool.metrics(), elapsed).ok_or("nobody came")?;
    // tokio's timer rounds each pause up to its next millisecond.
    assert!(
        (85.0..=101.0).contains(&measured.arrivals_per_second),
        "{measured:?}"
    );
    assert!(
        (19..=22).contains(&measured.mean_hold.as_millis()),
        "{measured:?}"
    );

    let advice = measured.advise(5 * MILLIS, 0.99).ok_or("no advice")?;
    let advised = Probe::default().pool().max_size(advice.size).build()?;
    load(&advised, 10 * MILLIS, Duration::from_secs(60)).await;
    let wait = advised.metrics().wait;
    let late = f64::from(u32::try_from(wait.count)?)
        / f64::from(u32::try_from(advised.metrics().acquired)?);
    assert!(
        late <= advice.share_waiting + 0.02,
        "{late} of all waited, {advice}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_autoscaled_pool_follows_its_load_within_bounds() -> TestResult {
    let pool = Probe::default().pool().max_size(2).capacity(12).build()?;
    let rule = Autoscale::within(2..=10).every(Duration::from_secs(5));
    let scaling = tokio::spawn({
        let pool = pool.clone();
        async move { pool.autoscale(rule).await }
    });
    // About six are busy.
    load(&pool, 3 * MILLIS, Duration::from_secs(20)).await;
    let grown = pool.status().max_size;
    assert!((7..=10).contains(&grown), "{grown}");
    SystemClock.sleep(Duration::from_secs(120)).await;
    settle().await;
    assert_eq!((pool.status().max_size, pool.status().size()), (2, 2));
    pool.close(MILLIS).await?;
    SystemClock.sleep(Duration::from_secs(6)).await;
    Ok(scaling.await??)
}

#[tokio::test]
async fn senseless_bounds_are_refused() -> TestResult {
    let pool = Probe::default().pool().max_size(2).capacity(4).build()?;
    for rule in [
        Autoscale::within(0..=2),
        Autoscale::within(1..=5),
        Autoscale::within(1..=2).every(Duration::ZERO),
    ] {
        let outcome = pool.autoscale(rule).await;
        assert!(
            matches!(outcome, Err(PoolError::Misconfigured { .. })),
            "{outcome:?}"
        );
    }
    Ok(())
}

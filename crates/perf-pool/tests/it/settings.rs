//! Settings from outside.

use crate::support::{Probe, TestResult, settle};
use perf_pool::PoolSettings;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn read(pairs: &[(&str, &str)]) -> Result<PoolSettings, perf_pool::SettingsError> {
    PoolSettings::from_pairs("DATABASE", pairs.iter().copied())
}

#[test]
fn every_setting_is_read() -> TestResult {
    let settings = read(&[
        ("DATABASE__POOL_SIZE", "5"),
        ("DATABASE__POOL_MAX_OVERFLOW", " 10 "),
        ("DATABASE__POOL_TIMEOUT", "2.5"),
        ("DATABASE__POOL_RECYCLE", "-1"),
        ("DATABASE__POOL_PRE_PING", "True"),
        ("DATABASE__URL", "postgres://localhost"),
        ("HOME", "/root"),
    ])?;
    let mut expected = PoolSettings::default();
    expected.pool_size = Some(5);
    expected.pool_max_overflow = Some(10);
    expected.pool_timeout = Some(2.5);
    expected.pool_recycle = Some(-1.0);
    expected.pool_pre_ping = Some(true);
    assert_eq!(settings, expected);
    Ok(settings.validate()?)
}

#[test]
fn all_that_is_wrong_is_reported_with_its_key() {
    let wrong = [
        ("DATABASE__POOL_SIZE", "0"),
        ("DATABASE__POOL_SIZE", "many"),
        ("DATABASE__POOL_SIZE", "4294967296"),
        ("DATABASE__POOL_MAX_OVERFLOW", "-1"),
        ("DATABASE__POOL_TIMEOUT", "0"),
        ("DATABASE__POOL_TIMEOUT", "NaN"),
        ("DATABASE__POOL_TIMEOUT", "inf"),
        ("DATABASE__POOL_TIMEOUT", "1e300"),
        ("DATABASE__POOL_RECYCLE", "-2"),
        ("DATABASE__POOL_RECYCLE", ""),
        ("DATABASE__POOL_PRE_PING", "maybe"),
        ("DATABASE__POOL_SIZES", "5"),
    ];
    let error = read(&wrong).unwrap_err();
    let reported: Vec<_> = error
        .0
        .iter()
        .map(|wrong| (&*wrong.key, &*wrong.value))
        .collect();
    assert_eq!(reported, wrong);
    let text = error.to_string();
    assert!(
        text.starts_with("DATABASE__POOL_SIZE=0: expected a number of connections from 1"),
        "{text}"
    );
}

#[test]
fn wrong_settings_from_elsewhere_are_reported_with_their_fields() {
    let mut settings = PoolSettings::default();
    settings.pool_size = Some(0);
    settings.pool_max_overflow = Some(u32::MAX);
    settings.pool_timeout = Some(f64::NAN);
    settings.pool_recycle = Some(-3.0);
    let error = settings.validate().unwrap_err();
    let keys: Vec<_> = error.0.iter().map(|wrong| wrong.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "pool_size",
            "pool_max_overflow",
            "pool_timeout",
            "pool_recycle"
        ]
    );
    // Unseen by `validate`, they are refused by the builder and do not panic.
    assert!(Probe::default().pool().settings(&settings).build().is_err());
}

#[tokio::test]
async fn size_and_overflow_mean_what_they_mean_in_sqlalchemy() -> TestResult {
    let probe = Probe::default();
    let settings = read(&[
        ("DATABASE__POOL_SIZE", "2"),
        ("DATABASE__POOL_MAX_OVERFLOW", "1"),
        ("DATABASE__POOL_TIMEOUT", "0.01"),
    ])?;
    let pool = probe.pool().settings(&settings).build()?;
    let guards = (
        pool.acquire().await?,
        pool.acquire().await?,
        pool.acquire().await?,
    );
    assert!(pool.acquire().await.is_err());
    drop(guards);
    settle().await;
    assert_eq!((pool.status().idle, probe.alive()), (2, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn ping_and_recycling_follow_the_settings() -> TestResult {
    for (ping, checks) in [("true", 1), ("false", 0)] {
        let probe = Probe::default();
        let settings = read(&[
            ("DATABASE__POOL_PRE_PING", ping),
            ("DATABASE__POOL_RECYCLE", "60"),
        ])?;
        let pool = probe.pool().settings(&settings).build()?;
        drop(pool.acquire().await?);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(pool.acquire().await?.number, 0);
        assert_eq!(probe.0.checks.load(SeqCst), checks);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(pool.acquire().await?.number, 1);
    }
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn serde_reads_the_same_names() -> TestResult {
    let text = r#"{"pool_size": 5, "pool_max_overflow": 10, "pool_pre_ping": false}"#;
    let settings: PoolSettings = serde_json::from_str(text)?;
    let same = read(&[
        ("DATABASE__POOL_SIZE", "5"),
        ("DATABASE__POOL_MAX_OVERFLOW", "10"),
        ("DATABASE__POOL_PRE_PING", "no"),
    ])?;
    assert_eq!(settings, same);
    let error = serde_json::from_str::<PoolSettings>(r#"{"pool_size": -1}"#).unwrap_err();
    assert!(error.to_string().contains("-1"), "{error}");
    Ok(())
}

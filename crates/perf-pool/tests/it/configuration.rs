use crate::support::Probe;
use perf_pool::{PoolBuilder, PoolError};
use std::time::Duration;

fn refused_setting(builder: PoolBuilder<Probe>) -> &'static str {
    match builder.build() {
        Err(PoolError::Misconfigured { setting, .. }) => setting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn senseless_settings_are_refused_by_name() {
    let pool = || Probe::default().pool();
    let second = Duration::from_secs(1);
    assert_eq!(refused_setting(pool().max_size(0)), "max_size");
    assert_eq!(refused_setting(pool().max_size(u32::MAX)), "max_size");
    assert_eq!(refused_setting(pool().max_size(1).min_idle(2)), "min_idle");
    assert_eq!(refused_setting(pool().max_connecting(0)), "max_connecting");
    assert_eq!(refused_setting(pool().max_waiters(0)), "max_waiters");
    assert_eq!(refused_setting(pool().max_uses(0)), "max_uses");
    assert_eq!(refused_setting(pool().max_lifetime(second)), "max_lifetime");
    assert_eq!(
        refused_setting(pool().max_lifetime(Duration::ZERO)),
        "max_lifetime"
    );
    assert_eq!(
        refused_setting(pool().acquire_timeout(Duration::ZERO)),
        "acquire_timeout"
    );
    assert_eq!(
        refused_setting(pool().connect_timeout(Duration::ZERO)),
        "connect_timeout"
    );
    assert_eq!(
        refused_setting(pool().check_timeout(Duration::ZERO)),
        "check_timeout"
    );
    assert_eq!(
        refused_setting(pool().reset_timeout(Duration::ZERO)),
        "reset_timeout"
    );
}

#[test]
fn the_message_reads_as_a_sentence() {
    let error = Probe::default()
        .pool()
        .max_size(1)
        .min_idle(2)
        .build()
        .unwrap_err();
    assert_eq!(error.to_string(), "min_idle must not exceed max_size");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_malformed_url_is_refused_before_there_is_a_pool() {
    assert!(perf_pool::SqliteManager::from_url("sqlite://data.db?mode=nonsense").is_err());
}

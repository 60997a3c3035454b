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
    let (second, zero) = (Duration::from_secs(1), Duration::ZERO);
    for (setting, builder) in [
        ("max_size", pool().max_size(0)),
        ("max_size", pool().max_size(u32::MAX)),
        ("capacity", pool().max_size(2).capacity(1)),
        ("capacity", pool().capacity(u32::MAX)),
        ("max_idle", pool().max_size(1).max_idle(2)),
        ("min_idle", pool().max_size(1).min_idle(2)),
        ("min_idle", pool().max_idle(1).min_idle(2)),
        ("max_connecting", pool().max_connecting(0)),
        ("max_waiters", pool().max_waiters(0)),
        ("max_uses", pool().max_uses(0)),
        ("max_lifetime", pool().max_lifetime(second)),
        ("max_lifetime", pool().max_lifetime(zero)),
        ("shed_above", pool().shed_above(zero)),
        ("leak_after", pool().leak_after(zero)),
        ("replace_leaked", pool().replace_leaked(true)),
        ("acquire_timeout", pool().acquire_timeout(zero)),
        ("connect_timeout", pool().connect_timeout(zero)),
        ("check_timeout", pool().check_timeout(zero)),
        ("reset_timeout", pool().reset_timeout(zero)),
    ] {
        assert_eq!(refused_setting(builder), setting);
    }
}

#[test]
fn the_message_reads_as_a_sentence() {
    let error = Probe::default()
        .pool()
        .max_size(1)
        .min_idle(2)
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "min_idle must not exceed max_size or max_idle"
    );
}

#[cfg(feature = "sqlite")]
#[test]
fn a_malformed_url_is_refused_before_there_is_a_pool() {
    assert!(perf_pool::SqliteManager::from_url("sqlite://data.db?mode=nonsense").is_err());
}

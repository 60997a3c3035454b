//! Prints what starting each server costs here: the median of five starts, after one that builds the template.
//!
//! `cargo run -p perf-testkit --example start_up`

use perf_testkit::{Error, MariaDbServer, PostgresServer, RedisCluster, RedisServer};
use std::time::{Duration, Instant};

const STARTS: usize = 5;

fn main() -> Result<(), Error> {
    report("Redis", RedisServer::start)?;
    report("Redis cluster", RedisCluster::start)?;
    let postgres = report("Postgres", PostgresServer::start)?;
    report("  a database", || postgres.database())?;
    let mariadb = report("MariaDB", MariaDbServer::start)?;
    report("  a database", || mariadb.database())?;
    Ok(())
}

fn report<T>(what: &str, start: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let (first, kept) = timed(&start)?;
    let mut later = (0..STARTS)
        .map(|_| timed(&start).map(|(taken, _)| taken))
        .collect::<Result<Vec<_>, _>>()?;
    later.sort();
    println!(
        "{what:14} first {first:>7.0?}  later {:>7.0?}",
        later[STARTS / 2]
    );
    Ok(kept)
}

#[expect(clippy::disallowed_methods, reason = "it measures real programs")]
fn timed<T>(start: impl Fn() -> Result<T, Error>) -> Result<(Duration, T), Error> {
    let begun = Instant::now();
    let started = start()?;
    Ok((begun.elapsed(), started))
}

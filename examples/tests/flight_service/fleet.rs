//! Three instances on Postgres and Redis, under load while what they stand on breaks.
//!
//! Each register is a flight's delay, written by one client with ever greater numbers. A write that was not answered may
//! happen at any later time, so its register is given up and another one taken. Hence a read must never show less than
//! what had been acknowledged a window before it began, the database holds each write as soon as it is acknowledged, and in
//! the end each register holds the last acknowledged write or the one that was not answered.

mod load;
mod phases;
mod registers;

use crate::client::get;
use crate::instance::{FLIGHTS, Instance, data};
use load::Load;
use perf_testkit::{PostgresServer, RedisServer};
use phases::Phases;
use rustix::process::Signal;
use sqlx::postgres::PgPoolOptions;
use std::net::SocketAddr;
use std::time::Duration;

const INSTANCES: usize = 3;
/// What `--window` is set to. A copy counts its age from its arrival, so what a read takes on the way comes on top: little
/// by itself, more on a busy machine.
const WINDOW: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(2);
/// The limit of each client, a second.
const RATE: u64 = 20;
const BURST: u64 = 40;

/// How long a phase takes, in seconds.
fn phase() -> Duration {
    let cases = std::env::var("PERF_SOAK_CASES").ok();
    let seconds = cases.and_then(|cases| cases.parse().ok()).unwrap_or(2);
    Duration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_whatever_breaks_soak() {
    let (postgres, redis) = (
        PostgresServer::start().unwrap(),
        RedisServer::start().unwrap(),
    );
    let folder = data();
    let (database, store) = (postgres.database().unwrap().url(), redis.url());
    let rate = format!("{RATE}/second burst {BURST}");
    let arguments = [
        ["--data", folder.path().to_str().unwrap()],
        ["--database-url", &database],
        ["--redis-url", &store],
        ["--instances", "3"],
        ["--window", "1s"],
        ["--rate-limit", &rate],
    ]
    .concat();
    let mut fleet: Vec<_> = (0..INSTANCES)
        .map(|_| Instance::start(&arguments))
        .collect();
    let addresses: [SocketAddr; INSTANCES] = std::array::from_fn(|index| fleet[index].address);
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(1));
    let load = Load::start(addresses, pool.connect_lazy(&database).unwrap());
    let mut phases = Phases::new(&load);

    phases.run("nothing breaks", phase()).await;
    redis.kill();
    phases.run("Redis is killed", phase()).await;
    redis.restart().unwrap();
    phases.run("Redis is back", phase()).await;
    postgres.kill();
    phases.run("Postgres is killed", phase()).await;
    postgres.restart().unwrap();
    phases.run("Postgres is back", phase()).await;
    fleet[0].signal(Signal::STOP);
    phases.run("an instance is paused", phase()).await;
    fleet[0].signal(Signal::CONT);
    phases.run("it goes on", phase()).await;
    for index in 0..INSTANCES {
        let address = fleet[index].address.to_string();
        let leaving = fleet.remove(index);
        assert!(
            leaving.stop().await.success(),
            "instance {index} left in disorder"
        );
        fleet.insert(index, Instance::start_at(&address, &arguments));
    }
    phases.run("each was replaced", phase()).await;

    let ended = load.stop().await;
    ended.check(addresses).await;
    // A burst more, since Redis lost its counts once, and another, since each instance that misses Redis goes on with its
    // third of the quota, for up to a second beyond the others.
    let most = 3 * BURST + RATE * (ended.elapsed.as_secs() + 2);
    println!(
        "one client: {} admitted, at most {most}, of {} calls",
        ended.admitted, ended.calls
    );
    assert!(ended.admitted <= most && ended.admitted >= RATE);
    let imported = ended.imported(addresses).await;
    let flights = count(addresses[0]).await;
    assert_eq!(flights, FLIGHTS as u64 + imported, "rows of imports");
}

/// How many flights there are.
async fn count(at: SocketAddr) -> u64 {
    let figures = get(at, "/naive/carriers")
        .header("x-api-key", "end")
        .answer();
    let figures = figures.await.expect(200).json();
    let all = figures.as_array().unwrap().iter();
    all.map(|one| one["flights"].as_u64().unwrap()).sum()
}

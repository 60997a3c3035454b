//! Four processes, one key, one Redis.

use super::quota;
use crate::support::SECOND;
use perf_breaker::{RedisStore, SharedLimiter};
use perf_core::{Clock, SystemClock};
use perf_testkit::{FaultProxy, RedisServer};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const QUOTA: &str = "10000/second burst 4000";
const INSTANCES: u32 = 4;
/// As small as the trips allow: what the leases hold is set aside from the burst, and what is left in them at
/// the end was never used.
const LEASE: u32 = 125;
/// What the child finds its server by, and for how long it calls.
const SERVER: &str = "PERF_FLEET_SERVER";
const SECONDS: &str = "PERF_FLEET_SECONDS";

/// What a child does: 3,125 decisions a second. In the parent it is a test that does nothing.
#[tokio::test]
async fn a_member_of_the_fleet() {
    let Ok(url) = std::env::var(SERVER) else {
        return;
    };
    let seconds: u64 = std::env::var(SECONDS).unwrap().parse().unwrap();
    let store = RedisStore::new(&url, "fleet:").unwrap();
    let limiter = SharedLimiter::builder("shared", &quota(QUOTA), store);
    let limiter = limiter
        .instances(INSTANCES)
        .leases(LEASE)
        .timeout(10 * SECOND)
        .build()
        .unwrap();
    let (mut calls, mut admitted) = (0_u64, 0_u64);
    let start = SystemClock.now();
    loop {
        let elapsed = SystemClock.now().since(start);
        if elapsed >= Duration::from_secs(seconds) {
            break;
        }
        let due = u64::try_from(elapsed.as_micros() * 3_125 / 1_000_000).unwrap();
        while calls < due {
            admitted += u64::from(limiter.check("key").await.is_allowed());
            calls += 1;
        }
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
    println!("MEMBER {calls} {admitted}");
}

fn member(url: &str, seconds: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "shared::fleet::a_member_of_the_fleet",
            "--exact",
            "--nocapture",
        ])
        .env(SERVER, url)
        .env(SECONDS, seconds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn report(member: Child) -> (u64, u64) {
    let output = String::from_utf8(member.wait_with_output().unwrap().stdout).unwrap();
    let line = output
        .lines()
        .find_map(|line| line.split_once("MEMBER "))
        .unwrap()
        .1;
    let (calls, admitted) = line.split_once(' ').unwrap();
    (calls.parse().unwrap(), admitted.parse().unwrap())
}

#[tokio::test]
async fn four_processes_with_leases_stay_within_the_quota_on_few_trips() {
    let seconds = u64::from(crate::soak::cases(2));
    let server = RedisServer::start().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let url = server.url_through(proxy.address());
    let start = SystemClock.now();
    let members: Vec<_> = (0..INSTANCES).map(|_| member(&url, seconds)).collect();
    let reports: Vec<_> = members.into_iter().map(report).collect();
    let elapsed = SystemClock.now().since(start);
    let calls: u64 = reports.iter().map(|(calls, _)| calls).sum();
    let admitted: u64 = reports.iter().map(|(_, admitted)| admitted).sum();
    let trips = proxy.traffic().round_trips;
    let allowed = 4_000 + elapsed.as_micros() * 10_000 / 1_000_000;
    let wanted = 4_000 + seconds * 10_000;
    println!(
        "{calls} calls, {admitted} admitted of {wanted} to {allowed}, {trips} trips, {elapsed:?}"
    );
    assert!(u128::from(admitted) <= allowed, "{admitted} of {allowed}");
    if seconds >= 10 {
        // In a short run, what lies in leases at the end weighs more.
        assert!(admitted * 100 >= wanted * 99, "{admitted} of {wanted}");
    }
    assert!(
        trips * 100 <= calls + 100 * 4 * 10,
        "{trips} trips for {calls} calls"
    );
}

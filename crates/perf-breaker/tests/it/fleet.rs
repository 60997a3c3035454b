//! Breakers of a fleet that know of each other.

use crate::support::{MS, OPEN_TIME, SECOND, builder, fail, succeed};
use perf_breaker::{
    CircuitBreaker, ConfigError, FleetMember, FleetStore, Hold, MemoryFleet, RedisFleet, State,
};
use perf_core::{Clock, ManualClock, SystemClock};
use perf_testkit::{FaultProxy, RedisServer};
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(250);

/// Some breakers with one clock, their members, and a store.
struct Fleet {
    clock: ManualClock,
    breakers: Vec<CircuitBreaker>,
    members: Vec<FleetMember>,
}

impl Fleet {
    fn new<S: FleetStore + Clone>(size: usize, store: impl FnOnce(&ManualClock) -> S) -> Self {
        let clock = ManualClock::new();
        let store = store(&clock);
        let build = || builder(&clock).consecutive_failures(1).build().unwrap();
        let breakers: Vec<_> = (0..size).map(|_| build()).collect();
        let member = |breaker: &CircuitBreaker| {
            let member = FleetMember::new("upstream", breaker.clone(), store.clone());
            let member = member.with_interval(INTERVAL).unwrap();
            member.with_clock(clock.clone())
        };
        let members = breakers.iter().map(member).collect();
        Self {
            clock,
            breakers,
            members,
        }
    }

    fn in_memory(size: usize) -> Self {
        Self::new(size, |clock| MemoryFleet::with_clock(clock.clone()))
    }

    /// Two rounds: what the last has told in the first, the first learns in the second.
    async fn exchange(&mut self) {
        for _ in 0..2 {
            for member in &mut self.members {
                let _lost = member.exchange().await;
            }
        }
    }

    /// Lets time pass as the members see it: none is ever gone for too long.
    async fn pass(&mut self, time: Duration) {
        for _ in 0..=time.as_millis() / INTERVAL.as_millis() {
            self.clock.advance(INTERVAL);
            self.exchange().await;
        }
    }

    fn states(&self) -> Vec<State> {
        self.breakers.iter().map(CircuitBreaker::state).collect()
    }

    /// The place of the one that goes by its own rules.
    fn prober(&self) -> usize {
        let is_free = |state: &State| *state != HELD;
        let free: Vec<_> = self.states().iter().map(is_free).collect();
        assert_eq!(free.iter().filter(|free| **free).count(), 1, "{free:?}");
        free.iter().position(|free| *free).unwrap()
    }
}

const HELD: State = State::Held(Hold::Open);

#[tokio::test]
async fn one_alone_convinces_nobody_and_a_quorum_convinces_all() {
    let mut fleet = Fleet::in_memory(4);
    fleet.exchange().await;
    fail(&fleet.breakers[0]);
    fleet.exchange().await;
    let closed = State::Closed;
    assert_eq!(fleet.states(), [State::Open, closed, closed, closed]);
    fail(&fleet.breakers[1]);
    fleet.exchange().await;
    let prober = fleet.prober();
    assert!(prober < 2, "one of those that have seen it fail");
    assert!(fleet.breakers[3].admit().is_err());
}

#[tokio::test]
async fn one_probes_for_all_and_all_close_with_it() {
    let mut fleet = Fleet::in_memory(3);
    fail(&fleet.breakers[0]);
    fail(&fleet.breakers[1]);
    fleet.exchange().await;
    let prober = fleet.prober();
    // Probes fail once: the fleet stays open.
    fleet.pass(OPEN_TIME).await;
    (0..2).for_each(|_| fail(&fleet.breakers[prober]));
    fleet.exchange().await;
    assert_eq!(fleet.states()[prober], State::Open);
    assert_eq!(fleet.prober(), prober);
    // And then they succeed.
    fleet.pass(3 * OPEN_TIME).await;
    assert_eq!(
        fleet.prober(),
        prober,
        "nobody else probes though its time is over"
    );
    (0..2).for_each(|_| succeed(&fleet.breakers[prober]));
    assert_eq!(fleet.states()[prober], State::Closed);
    fleet.exchange().await;
    assert_eq!(fleet.states(), [State::Closed; 3]);
    fleet.exchange().await;
    assert_eq!(fleet.states(), [State::Closed; 3]);
}

#[tokio::test]
async fn a_prober_that_is_gone_is_replaced_by_one_that_probes() {
    let mut fleet = Fleet::in_memory(4);
    (0..3).for_each(|breaker| fail(&fleet.breakers[breaker]));
    fleet.exchange().await;
    let gone = fleet.prober();
    drop(fleet.members.remove(gone));
    fleet.breakers.remove(gone);
    // Everyone else is heard of, and the one that is gone no longer.
    fleet.pass(5 * INTERVAL).await;
    let next = fleet.prober();
    fleet.clock.advance(2 * MS);
    // Three probes, and not the whole traffic.
    let permits: Vec<_> = (0..100)
        .filter_map(|_| fleet.breakers[next].admit().ok())
        .collect();
    assert_eq!(permits.len(), 3);
    permits.into_iter().for_each(perf_breaker::Permit::success);
    fleet.exchange().await;
    assert_eq!(fleet.states(), [State::Closed; 3]);
}

#[tokio::test]
async fn a_breaker_held_by_hand_stays_so() {
    let mut fleet = Fleet::in_memory(4);
    fleet.breakers[3].hold(Hold::Closed);
    fail(&fleet.breakers[0]);
    fail(&fleet.breakers[1]);
    fleet.exchange().await;
    assert_eq!(fleet.states()[3], State::Held(Hold::Closed));
    fleet.breakers[2].hold(Hold::Disabled);
    fleet.exchange().await;
    assert_eq!(fleet.states()[2], State::Held(Hold::Disabled));
    drop(fleet.members);
    assert_eq!(fleet.breakers[2].state(), State::Held(Hold::Disabled));
}

#[tokio::test]
async fn leaving_the_fleet_gives_the_breaker_back() {
    let mut fleet = Fleet::in_memory(3);
    fail(&fleet.breakers[0]);
    fail(&fleet.breakers[1]);
    fleet.exchange().await;
    let prober = fleet.prober();
    fleet.members.clear();
    for (place, breaker) in fleet.breakers.iter().enumerate() {
        let expected = match place {
            2 => State::Closed,
            _ => State::Open,
        };
        assert_eq!(breaker.state(), expected, "{place}, {prober} was probing");
    }
}

#[test]
fn a_quorum_is_a_share() {
    for share in [0.0, -1.0, 1.1, f64::NAN] {
        let member = FleetMember::new("upstream", CircuitBreaker::new("x"), MemoryFleet::new());
        assert!(matches!(
            member.with_quorum(share),
            Err(ConfigError::Rate { .. })
        ));
    }
}

/// An interval of nothing would ask the store without a pause, and its members would be gone at once.
#[test]
fn an_interval_is_neither_nothing_nor_for_ever() {
    for interval in [Duration::ZERO, MS / 2, Duration::MAX] {
        let member = FleetMember::new("upstream", CircuitBreaker::new("x"), MemoryFleet::new());
        assert!(matches!(
            member.with_interval(interval),
            Err(ConfigError::Span { .. })
        ));
    }
}

/// On a real Redis, which counts in real time: the life of a report is kept long.
fn on_redis(url: &str, prefix: &str, size: usize) -> Fleet {
    let store = RedisFleet::new(url, prefix).unwrap();
    let mut fleet = Fleet::new(size, |_| store);
    let members = fleet.members.drain(..);
    fleet.members = members
        .map(|member| member.with_interval(30 * SECOND).unwrap())
        .collect();
    fleet
}

#[tokio::test]
async fn a_fleet_on_redis_opens_probes_and_closes_together() {
    let server = RedisServer::shared().unwrap();
    let mut fleet = on_redis(&server.url(), &server.key_prefix(), 3);
    fleet.exchange().await;
    fail(&fleet.breakers[0]);
    fleet.exchange().await;
    assert_eq!(fleet.states()[1..], [State::Closed; 2]);
    fail(&fleet.breakers[2]);
    fleet.exchange().await;
    let prober = fleet.prober();
    fleet.clock.advance(OPEN_TIME + 10 * MS);
    (0..2).for_each(|_| succeed(&fleet.breakers[prober]));
    fleet.exchange().await;
    assert_eq!(fleet.states(), [State::Closed; 3]);
}

/// Redis is killed while the fleet is open, and comes back empty.
#[tokio::test]
async fn without_redis_every_breaker_is_on_its_own_and_finds_the_fleet_again() {
    let server = RedisServer::start().unwrap();
    let mut fleet = on_redis(&server.url(), "", 3);
    fail(&fleet.breakers[0]);
    fail(&fleet.breakers[1]);
    fleet.exchange().await;
    fleet.prober();
    server.kill();
    fleet.exchange().await;
    fleet.prober(); // still within its patience
    fleet.clock.advance(4 * 30 * SECOND);
    fleet.exchange().await;
    assert!(!fleet.states().contains(&HELD), "{:?}", fleet.states());
    assert!(
        fleet.breakers[2].admit().is_ok(),
        "which had seen no failure"
    );
    fail(&fleet.breakers[2]);
    assert_eq!(fleet.states()[2], State::Open);

    server.restart().unwrap();
    let limit = SystemClock.now().saturating_add(30 * SECOND);
    while fleet
        .states()
        .iter()
        .filter(|state| **state == HELD)
        .count()
        < 2
    {
        assert!(SystemClock.now() < limit, "{:?}", fleet.states());
        fleet.exchange().await;
    }
    fleet.prober();
}

#[tokio::test]
async fn calls_never_ask_the_store() {
    let server = RedisServer::shared().unwrap();
    let proxy = FaultProxy::start(server.address()).unwrap();
    let url = server.url_through(proxy.address());
    let mut fleet = on_redis(&url, &server.key_prefix(), 2);
    fleet.exchange().await;
    let before = proxy.traffic();
    for _ in 0..10_000 {
        fail(&fleet.breakers[0]);
        fleet.breakers[0].reset();
        succeed(&fleet.breakers[1]);
    }
    assert_eq!(proxy.traffic(), before);
    fleet.exchange().await;
    assert_eq!(proxy.traffic().round_trips - before.round_trips, 4);
}

/// The task does by itself what the tests above do by hand.
#[tokio::test]
async fn a_spawned_member_exchanges_word_until_it_is_aborted() {
    let store = MemoryFleet::new();
    let breakers: Vec<_> = (0..3)
        .map(|_| {
            CircuitBreaker::builder("upstream")
                .consecutive_failures(1)
                .build()
                .unwrap()
        })
        .collect();
    let tasks: Vec<_> = breakers
        .iter()
        .map(|breaker| {
            let member = FleetMember::new("upstream", breaker.clone(), store.clone());
            tokio::spawn(member.with_interval(20 * MS).unwrap().run())
        })
        .collect();
    fail(&breakers[0]);
    fail(&breakers[1]);
    let limit = SystemClock.now().saturating_add(30 * SECOND);
    while breakers[2].state() != HELD {
        assert!(SystemClock.now() < limit);
        SystemClock.sleep(MS).await;
    }
    for task in &tasks {
        task.abort();
    }
    while breakers[2].state() == HELD {
        assert!(SystemClock.now() < limit);
        SystemClock.sleep(MS).await;
    }
}

//! Clients: writers, readers, importers, submitters of jobs, and one that asks for more than it may have.

use super::phases::Outcome;
use super::registers::Registers;
use super::{FLIGHTS, INSTANCES};
use crate::client::{Answer, Ask, ask, get};
use hyper::{Method, StatusCode};
use perf_core::{Clock, Moment, SystemClock};
use serde_json::json;
use sqlx::postgres::PgPool;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const WRITERS: usize = 4;
const READERS: usize = 4;
/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(15);
const IMPORTED: usize = 20;
/// How long a client waits before it asks again, elsewhere.
const PATIENCE: Duration = Duration::from_secs(1);

/// What all clients share.
struct Shared {
    addresses: [SocketAddr; INSTANCES],
    start: Moment,
    stopping: AtomicBool,
    keys: AtomicU64,
    registers: Registers,
    outcomes: Mutex<Vec<Outcome>>,
    /// What all instances write to, read past them.
    database: PgPool,
    lost: Mutex<Vec<String>>,
    stale: Mutex<Vec<String>>,
    oldest: Mutex<Duration>,
    jobs: Mutex<Vec<String>>,
    imports: AtomicU64,
    admitted: AtomicU64,
    calls: AtomicU64,
}

/// The clients at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

/// What they leave.
pub(super) struct Ended {
    shared: Arc<Shared>,
    pub(super) elapsed: Duration,
    pub(super) admitted: u64,
    pub(super) calls: u64,
}

impl Load {
    pub(super) fn start(addresses: [SocketAddr; INSTANCES], database: PgPool) -> Self {
        let shared = Arc::new(Shared {
            addresses,
            start: SystemClock.now(),
            stopping: AtomicBool::new(false),
            keys: AtomicU64::new(0),
            registers: Registers::default(),
            outcomes: Mutex::default(),
            database,
            lost: Mutex::default(),
            stale: Mutex::default(),
            oldest: Mutex::default(),
            jobs: Mutex::default(),
            imports: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        });
        let mut clients = JoinSet::new();
        for writer in 0..WRITERS {
            clients.spawn(write(Arc::clone(&shared), writer));
        }
        for reader in 0..READERS {
            clients.spawn(read(Arc::clone(&shared), reader));
        }
        clients.spawn(import(Arc::clone(&shared)));
        clients.spawn(submit(Arc::clone(&shared)));
        clients.spawn(hammer(Arc::clone(&shared)));
        Self { shared, clients }
    }

    /// What has come of the requests since this was last asked.
    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        mem::take(&mut *self.shared.outcomes.lock().unwrap())
    }

    pub(super) async fn stop(self) -> Ended {
        self.shared.stopping.store(true, Relaxed);
        self.clients.join_all().await;
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        Ended {
            elapsed: self.shared.now(),
            admitted: count(&self.shared.admitted),
            calls: count(&self.shared.calls),
            shared: self.shared,
        }
    }
}

impl Ended {
    /// Nothing is lost, and nothing was stale.
    pub(super) async fn check(&self, addresses: [SocketAddr; INSTANCES]) {
        let shared = &self.shared;
        let stale = shared.stale.lock().unwrap().clone();
        println!(
            "{} writes acknowledged, {} jobs accepted; the oldest read was {:.2?} behind",
            shared.registers.acknowledged(),
            shared.jobs.lock().unwrap().len(),
            shared.oldest.lock().unwrap()
        );
        assert!(stale.is_empty(), "{stale:#?}");
        let lost = shared.lost.lock().unwrap().clone();
        assert!(lost.is_empty(), "{lost:#?}");
        // Whatever the instances keep may be as old as the window.
        SystemClock.sleep(super::WINDOW + super::SLACK).await;
        for flight in shared.registers.flights() {
            for address in addresses {
                let answer = shared
                    .told(get(address, &format!("/flights/{flight}")))
                    .await
                    .unwrap();
                let value = answer.expect(200).json()["flight"]["dep_delay"].as_u64();
                let value = value.filter(|value| *value >= FIRST);
                assert!(
                    shared.registers.may_end_with(flight, value),
                    "flight {flight} ends with {value:?}"
                );
            }
        }
        let jobs = shared.jobs.lock().unwrap().clone();
        let asked = SystemClock.now();
        for (number, job) in jobs.iter().enumerate() {
            loop {
                let answer = shared
                    .told(get(addresses[number % INSTANCES], job))
                    .await
                    .unwrap();
                let job = answer.expect(200).json();
                match job["state"].as_str().unwrap() {
                    "done" => break,
                    "waiting" | "running" => SystemClock.sleep(PAUSE).await,
                    _ => panic!("an accepted job was lost: {job}"),
                }
                assert!(
                    SystemClock.now().since(asked) < Duration::from_secs(60),
                    "{job} takes too long"
                );
            }
        }
    }

    /// How many rows the imports have written, none of them in part.
    pub(super) async fn imported(&self, addresses: [SocketAddr; INSTANCES]) -> u64 {
        let mut rows = 0;
        for number in 0..self.shared.imports.load(Relaxed) {
            let import = get(addresses[0], &format!("/imports/{number}"));
            let import = self.shared.told(import).await.unwrap();
            if import.status == StatusCode::OK {
                assert_eq!(import.json()["rows"], IMPORTED);
                rows += IMPORTED as u64;
            }
        }
        rows
    }
}

/// Greater than every delay in the data set.
const FIRST: u64 = 1_000_000;

impl Shared {
    fn now(&self) -> Duration {
        SystemClock.now().since(self.start)
    }

    fn is_over(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Sends under a key of its own, so that no limit is met.
    async fn told(&self, ask: Ask) -> io::Result<Answer> {
        let key = self.keys.fetch_add(1, Relaxed);
        ask.header("x-api-key", &format!("client {key}"))
            .send()
            .await
    }

    /// Sends to an instance, or to the next if that does not listen; notes what came of it.
    async fn send(&self, first: usize, ask: impl Fn(SocketAddr) -> Ask) -> Option<Answer> {
        let mut answer = Err(io::ErrorKind::ConnectionRefused.into());
        for next in 0..INSTANCES {
            let index = (first + next) % INSTANCES;
            let ask = ask(self.addresses[index]).within(PATIENCE);
            answer = self.told(ask).await;
            if !matches!(&answer, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused) {
                break;
            }
        }
        let answer = answer
            .ok()
            .filter(|answer| !answer.status.is_server_error());
        self.outcomes.lock().unwrap().push(Outcome {
            at: SystemClock.now(),
            failed: answer.is_none(),
        });
        SystemClock.sleep(PAUSE).await;
        answer
    }
}

impl Shared {
    /// Notes an acknowledged write as lost if the database does not have it: the next write would hide that. Nobody else
    /// writes to this register.
    async fn look_up(&self, flight: u64, value: u64) {
        let delay = sqlx::query_scalar("SELECT dep_delay FROM flights WHERE id = $1");
        let delay = delay.bind(flight.cast_signed());
        // While the database is down, there is nothing to be seen.
        let found: Result<Option<i64>, _> = delay.fetch_one(&self.database).await;
        if let Ok(found) = found
            && found != Some(value.cast_signed())
        {
            let lost = format!("flight {flight} was acknowledged as {value} and is {found:?}");
            self.lost.lock().unwrap().push(lost);
        }
    }
}

async fn write(shared: Arc<Shared>, writer: usize) {
    let mut flight = writer as u64 + 1;
    for (round, value) in (0_usize..).zip(FIRST..) {
        if shared.is_over() {
            return;
        }
        let change = |address| {
            let path = format!("/flights/{flight}");
            ask(address, Method::PATCH, &path).json(format!("{{\"dep_delay\": {value}}}"))
        };
        // Long enough at one instance for the others to hold old copies.
        match shared.send(writer + round / 16, change).await {
            Some(_) => {
                shared.registers.acknowledge(flight, value, shared.now());
                shared.look_up(flight, value).await;
            }
            None => {
                shared.registers.give_up(flight, value);
                flight += WRITERS as u64;
                assert!(flight < FLIGHTS as u64, "no register is left");
            }
        }
    }
}

async fn read(shared: Arc<Shared>, reader: usize) {
    for round in 0_usize.. {
        if shared.is_over() {
            return;
        }
        let flights = shared.registers.flights();
        let Some(flight) = flights.get(round % flights.len().max(1)).copied() else {
            SystemClock.sleep(PAUSE).await;
            continue;
        };
        let began = shared.now();
        let answer = shared
            .send(reader + round, |address| {
                get(address, &format!("/flights/{flight}"))
            })
            .await;
        let Some(answer) = answer else { continue };
        let seen = answer.expect(200).json()["flight"]["dep_delay"].as_u64();
        let seen = seen.filter(|value| *value >= FIRST);
        let Some(age) = shared.registers.age(flight, seen, began) else {
            continue;
        };
        let mut oldest = shared.oldest.lock().unwrap();
        *oldest = age.max(*oldest);
        if Registers::is_stale(age) {
            let read = format!("at {began:.2?}, flight {flight} was {seen:?}, {age:.2?} too late");
            shared.stale.lock().unwrap().push(read);
        }
    }
}

async fn import(shared: Arc<Shared>) {
    let row = json!({ "month": 1, "day": 31, "sched_dep_time": 1200, "carrier": "UA", "flight": 1, "origin": "EWR",
        "dest": "IAH", "distance": 1400, "time_hour": "2013-01-31T17:00:00Z" });
    let rows = format!("{row}\n").repeat(IMPORTED);
    for number in 0_usize.. {
        if shared.is_over() {
            return;
        }
        shared.imports.store(number as u64 + 1, Relaxed);
        let path = format!("/imports/{number}");
        // Repeated until it is acknowledged, as a client would.
        while shared
            .send(number, |address| {
                ask(address, Method::PUT, &path).json(rows.clone())
            })
            .await
            .is_none()
        {}
        SystemClock.sleep(PAUSE * 4).await;
    }
}

async fn submit(shared: Arc<Shared>) {
    for round in 0_usize.. {
        if shared.is_over() {
            return;
        }
        let job = |address| ask(address, Method::POST, "/jobs").json("{\"carrier\": \"UA\"}");
        if let Some(answer) = shared.send(round, job).await {
            let place = answer.expect(202).header("location").to_owned();
            shared.jobs.lock().unwrap().push(place);
        }
        SystemClock.sleep(PAUSE * 4).await;
    }
}

/// One client at all instances, far above its rate.
async fn hammer(shared: Arc<Shared>) {
    for round in 0_usize.. {
        if shared.is_over() {
            return;
        }
        let ping = get(shared.addresses[round % INSTANCES], "/ping").within(PATIENCE);
        let answer = ping.header("x-api-key", "hammer").send().await;
        shared.calls.fetch_add(1, Relaxed);
        if answer.is_ok_and(|answer| answer.status == StatusCode::OK) {
            shared.admitted.fetch_add(1, Relaxed);
        }
        SystemClock.sleep(Duration::from_millis(5)).await;
    }
}

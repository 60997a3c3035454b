//! A service with something to show: every part at work, on a clock that the test moves.

use axum::Router;
use futures_util::poll;
use perfkit::breaker::{Bulkhead, CircuitBreaker, KeyedLimiter, Quota};
use perfkit::cache::Cache;
use perfkit::core::{Dialect, ManualClock, Registry};
use perfkit::endpoints::Endpoints;
use perfkit::pool::{FromFn, Pool, Pooled, from_fn};
use perfkit::profile::{Objective, Profiler, RequestScope, SloMonitor, span};
use std::future::{Ready, ready};
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

type Manager = FromFn<fn() -> Ready<io::Result<u8>>, u8, io::Error>;

/// Connections of the pool.
const SIZE: u32 = 16;

pub(crate) struct Demo {
    pub(crate) clock: ManualClock,
    pub(crate) endpoints: Endpoints,
    pub(crate) weather: CircuitBreaker,
    monitor: SloMonitor,
    held: Vec<Pooled<Manager>>,
    pool: Pool<Manager>,
    pub(crate) cache: Cache<u64, u64>,
    limiter: Arc<KeyedLimiter<ManualClock>>,
    payments: CircuitBreaker,
    _search: Bulkhead<ManualClock>,
    random: fastrand::Rng,
    seconds: u32,
    _subscriber: DefaultGuard,
}

/// A route: its name, milliseconds, requests a second, and the query that it runs so many times.
type Route = (&'static str, f64, f64, &'static str, u32);

const ROUTES: [Route; 6] = [
    (
        "GET /flights",
        9.0,
        34.0,
        "SELECT id, carrier, origin, dest, dep_time FROM flights WHERE (dep_time, id) > (?, ?) ORDER BY dep_time, id LIMIT ?",
        1,
    ),
    (
        "GET /flights/{id}",
        3.0,
        52.0,
        "SELECT * FROM flights WHERE id = ?",
        1,
    ),
    (
        "GET /flights/{id}/connections",
        34.0,
        3.0,
        "SELECT name, lat, lon FROM airports WHERE faa = ?",
        9,
    ),
    (
        "GET /carriers/delays",
        18.0,
        8.0,
        "SELECT carrier, avg(arr_delay), count(*) FROM flights GROUP BY carrier",
        1,
    ),
    (
        "POST /flights/import",
        120.0,
        1.0,
        "INSERT INTO flights (carrier, flight, origin, dest, dep_time) VALUES (…)",
        2,
    ),
    (
        "GET /airports/{faa}/weather",
        26.0,
        6.0,
        "SELECT temp, wind_speed, visib FROM weather WHERE origin = ? AND time_hour = ?",
        1,
    ),
];

impl Demo {
    pub(crate) fn start(guarded: bool) -> Self {
        let clock = ManualClock::new();
        let registry = Registry::new();
        let profiler = Profiler::builder()
            .dialect(Dialect::Sqlite)
            .clock(clock.clone())
            .build();
        let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
        let monitor = SloMonitor::builder("api").objectives(Objective::web_service());
        let monitor = monitor.clock(clock.clone()).build();
        let connect: fn() -> _ = || ready(Ok(0));
        let pool = Pool::builder(from_fn(connect))
            .name("database")
            .max_size(SIZE)
            .clock(clock.clone());
        let pool = pool.build().expect("the settings are right");
        let cache = Cache::builder("airports")
            .max_entries(1_000)
            .clock(clock.clone());
        let cache: Cache<u64, u64> = cache.build().expect("the settings are right");
        let weather = CircuitBreaker::builder("weather")
            .count_window(100)
            .clock(clock.clone());
        let weather = weather.build().expect("the settings are right");
        let payments = CircuitBreaker::builder("payments")
            .clock(clock.clone())
            .build()
            .expect("right");
        let search = Bulkhead::builder("search", 20)
            .clock(clock.clone())
            .build()
            .expect("right");
        let quota = Quota::per_minute(240).expect("a quota");
        let limiter = KeyedLimiter::with_clock(&quota, 1_000, clock.clone()).expect("a limiter");
        let limiter = Arc::new(limiter.named("clients"));
        monitor.register(&registry);
        profiler.register(&registry);
        pool.register(&registry);
        cache.register(&registry);
        search.register(&registry);
        limiter.register(&registry);
        weather.register(&registry);
        payments.register(&registry);
        let endpoints = endpoints(
            &registry,
            &clock,
            &profiler,
            &cache,
            [&weather, &payments],
            guarded,
        );
        Self {
            endpoints,
            _subscriber: tracing::subscriber::set_default(subscriber),
            clock,
            weather,
            monitor,
            held: Vec::new(),
            pool,
            cache,
            limiter,
            payments,
            _search: search,
            random: fastrand::Rng::with_seed(7),
            seconds: 0,
        }
    }

    pub(crate) fn router(&self) -> Router {
        self.endpoints.router()
    }

    /// One second of traffic, with a rush every minute and a half.
    pub(crate) async fn second(&mut self) {
        self.seconds += 1;
        let rush =
            1.0 + 0.8 * (f64::from(self.seconds) / 15.0).sin().max(0.0) + 0.2 * self.random.f64();
        let mut spent = Duration::ZERO;
        for (name, millis, per_second, query, repeats) in ROUTES {
            let requests = whole(per_second * rush * 0.6);
            for _ in 0..requests.max(1) {
                // Mostly near the middle, with the long tail that services have.
                let tail = self.random.f64().max(1e-3).powf(-0.45) * 0.7;
                let latency = Duration::from_secs_f64(millis * rush * tail / 1e3);
                self.request(name, latency, query, repeats).await;
                spent += latency;
            }
        }
        self.hold(rush).await;
        for _ in 0..whole(60.0 * rush) {
            let key = whole(self.random.f64().powi(4) * 1_500.0);
            self.cache
                .get_or_load(key, async move || Ok::<_, io::Error>(key))
                .await
                .expect("it loads");
            let _decision = self.limiter.check(&self.random.u8(..6));
        }
        for _ in 0..6 {
            if let Ok(permit) = self.weather.admit() {
                if self.random.u8(..10) == 0 {
                    permit.failure()
                } else {
                    permit.success()
                }
            }
        }
        if self.seconds > 100
            && let Ok(permit) = self.payments.admit()
        {
            permit.failure();
        }
        self.monitor.check().await;
        self.clock
            .advance(Duration::from_secs(1).saturating_sub(spent.min(Duration::from_millis(999))));
    }

    pub(crate) async fn request(
        &self,
        name: &str,
        latency: Duration,
        query: &'static str,
        repeats: u32,
    ) {
        let clock = self.clock.clone();
        let handler = async move {
            let _handler = match repeats {
                1 => span!("handle"),
                2 => span!("import"),
                _ => span!("connections"),
            };
            work(2);
            if repeats > 5 {
                let cause = "SELECT origin, dest FROM flights WHERE carrier = ?";
                tell(&clock, cause, repeats.into(), latency.mul_f64(0.1));
            }
            for _ in 0..repeats {
                let _query = span!("query");
                {
                    let _decode = span!("decode");
                    work(3);
                }
                work(1);
                tell(&clock, query, 1, latency.mul_f64(0.7 / f64::from(repeats)));
            }
            let _render = span!("render");
            work(2);
            let _encode = span!("encode");
            work(4);
            clock.advance(latency.mul_f64(0.2));
        };
        RequestScope::new(name).run(handler).await;
        self.monitor.record(latency, false);
    }

    /// Takes as many connections as the rush needs; where that is all of them, one caller waits.
    async fn hold(&mut self, rush: f64) {
        self.held.clear();
        let wanted = whole((rush - 0.9) * 18.0) + self.random.u64(..3);
        for _ in 0..wanted.min(SIZE.into()) {
            self.held
                .push(self.pool.acquire().await.expect("one is free"));
        }
        if wanted >= SIZE.into() {
            let mut waiting = pin!(self.pool.acquire());
            assert!(poll!(&mut waiting).is_pending());
            self.clock.advance(Duration::from_millis(40));
            drop(self.held.pop());
            self.held.push(waiting.await.expect("one was returned"));
        }
    }
}

fn endpoints(
    registry: &Registry,
    clock: &ManualClock,
    profiler: &Profiler,
    cache: &Cache<u64, u64>,
    [weather, payments]: [&CircuitBreaker; 2],
    guarded: bool,
) -> Endpoints {
    let endpoints = Endpoints::builder(registry)
        .clock(clock.clone())
        .profiler(profiler)
        .cache(cache)
        .requires("pool", "database")
        .breaker(weather)
        .breaker(payments);
    if guarded {
        endpoints
            .actions(|head| {
                head.headers
                    .get("authorization")
                    .is_some_and(|token| token == "Bearer 4711")
            })
            .build()
    } else {
        endpoints.build()
    }
}

/// What sqlx would tell of a query that took so long.
pub(crate) fn tell(clock: &ManualClock, query: &'static str, rows: u64, took: Duration) {
    clock.advance(took);
    tracing::event!(
        target: "sqlx::query", tracing::Level::DEBUG,
        summary = query, rows_returned = rows, rows_affected = 0_u64, elapsed_secs = took.as_secs_f64(),
    );
}

/// Some microseconds of work.
fn work(amount: u64) {
    black_box((0..amount * 700).fold(1_u64, |sum, next| black_box(sum.wrapping_mul(31) + next)));
}

/// A number of things, rounded.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates, and this is a demonstration"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

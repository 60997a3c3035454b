//! A breaker on a clock whose recent reading lags behind.

use crate::support::{MS, OPEN_TIME, builder, fail};
use perf_breaker::{CircuitBreaker, State};
use perf_core::clock::Sleep;
use perf_core::{Clock, ManualClock, Moment};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

const LAG: Duration = Duration::from_millis(10);

/// Counts its precise readings.
#[derive(Clone, Debug)]
struct Lagging {
    clock: ManualClock,
    precise: Arc<AtomicU32>,
}

impl Clock for Lagging {
    fn now(&self) -> Moment {
        self.precise.fetch_add(1, Relaxed);
        self.clock.now()
    }

    fn recent(&self) -> Moment {
        self.clock.now().saturating_sub(LAG)
    }

    fn wall(&self) -> SystemTime {
        self.clock.wall()
    }

    fn sleep_until(&self, deadline: Moment) -> Sleep {
        self.clock.sleep_until(deadline)
    }
}

/// A breaker that has just opened.
fn opened() -> (Lagging, CircuitBreaker) {
    let clock = Lagging {
        clock: ManualClock::new(),
        precise: Arc::default(),
    };
    clock.clock.advance(OPEN_TIME);
    let settings = builder(&clock.clock).clock(clock.clone());
    let breaker = settings.consecutive_failures(1).build().unwrap();
    fail(&breaker);
    assert_eq!(breaker.state(), State::Open);
    (clock, breaker)
}

#[test]
fn far_from_the_end_of_the_open_time_nobody_asks_for_the_precise_time() {
    let (clock, breaker) = opened();
    let before = clock.precise.load(Relaxed);
    for _ in 0..1_000 {
        let wait = breaker.admit().unwrap_err().retry_after;
        assert!(wait >= OPEN_TIME && wait <= OPEN_TIME + LAG + 2 * MS);
    }
    assert_eq!(clock.precise.load(Relaxed), before);
    assert_eq!(breaker.snapshot().rejected, 1_000);
}

#[test]
fn the_lag_delays_no_probe() {
    let (clock, breaker) = opened();
    let mut refused_precisely = 0;
    // Open times are rounded up to the next millisecond or so.
    for waited in 0..=OPEN_TIME.as_millis() + 2 {
        let before = clock.precise.load(Relaxed);
        match breaker.admit() {
            Err(_) => refused_precisely += u32::from(clock.precise.load(Relaxed) > before),
            Ok(_) => assert!(waited >= 5_000, "a probe after {waited} ms"),
        }
        clock.clock.advance(MS);
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(refused_precisely < 120, "{refused_precisely}");
}

#[test]
fn whoever_waits_as_told_is_admitted() {
    for waited in [0, 3_000, 4_880, 4_890, 4_900, 4_999] {
        let (clock, breaker) = opened();
        clock.clock.advance(Duration::from_millis(waited));
        let wait = breaker.admit().unwrap_err().retry_after;
        clock.clock.advance(wait);
        assert!(breaker.admit().is_ok(), "after {waited} ms and {wait:?}");
    }
}

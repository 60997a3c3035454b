use super::{Charge, RateLimitStore, TICK_SHIFT, Verdict};
use crate::error::StoreError;
use async_trait::async_trait;
use parking_lot::Mutex;
use perf_core::{Clock, SystemClock};
use std::collections::HashMap;

/// A store in this process: for tests, and as the model of all others.
///
/// Limits of a single process are better served by a [`KeyedLimiter`](crate::KeyedLimiter), which takes
/// no lock and a fixed amount of memory.
#[derive(Debug)]
pub struct MemoryStore<K = SystemClock> {
    clock: K,
    arrivals: Mutex<Arrivals>,
}

#[derive(Debug, Default)]
struct Arrivals {
    keys: HashMap<Box<[u8]>, Box<[u64]>>,
    /// How many keys may be there before those are dropped whose calls have all come back.
    sweep_at: usize,
}

impl MemoryStore {
    /// An empty store on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clock> MemoryStore<K> {
    /// An empty store on `clock`.
    pub fn with_clock(clock: K) -> Self {
        Self {
            clock,
            arrivals: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.clock.now().as_nanos() >> TICK_SHIFT
    }
}

impl Arrivals {
    fn aheads(&self, key: &[u8], charges: &[Charge], now: u64) -> Vec<u64> {
        let kept = self.keys.get(key).map_or(&[][..], |arrivals| arrivals);
        let kept = kept.iter().copied().chain(std::iter::repeat(0));
        let level = |(charge, arrival): (&Charge, u64)| charge.level(arrival, now) - now;
        charges.iter().zip(kept).map(level).collect()
    }

    fn put(&mut self, key: &[u8], arrivals: Box<[u64]>, now: u64) {
        if self.keys.len() >= self.sweep_at {
            self.keys
                .retain(|_, arrivals| arrivals.iter().any(|arrival| *arrival > now));
            self.sweep_at = (self.keys.len() * 2).max(1_024);
        }
        self.keys.insert(key.into(), arrivals);
    }
}

#[async_trait]
impl<K: Clock> RateLimitStore for MemoryStore<K> {
    async fn acquire(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        let mut arrivals = self.arrivals.lock();
        let now = self.now();
        let aheads = arrivals.aheads(key, charges, now);
        let verdict = Verdict::of(charges, &aheads);
        let price = |charge: &Charge| {
            if verdict.is_allowed() {
                charge.price
            } else {
                0
            }
        };
        let moved = charges.iter().zip(&aheads);
        let moved = moved.map(|(charge, ahead)| now + ahead + price(charge));
        // After a denial too: what counted as less from now on is less.
        arrivals.put(key, moved.collect(), now);
        Ok(verdict)
    }

    async fn peek(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        let aheads = self.arrivals.lock().aheads(key, charges, self.now());
        Ok(Verdict::of(charges, &aheads).before(charges))
    }

    async fn refund(&self, key: &[u8], charges: &[Charge]) -> Result<(), StoreError> {
        if let Some(arrivals) = self.arrivals.lock().keys.get_mut(key) {
            for (arrival, charge) in arrivals.iter_mut().zip(charges) {
                *arrival = arrival.saturating_sub(charge.price);
            }
        }
        Ok(())
    }

    async fn reset(&self, key: &[u8]) -> Result<(), StoreError> {
        self.arrivals.lock().keys.remove(key);
        Ok(())
    }
}

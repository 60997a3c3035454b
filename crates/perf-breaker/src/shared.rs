//! Limits that the processes of a fleet share through a store.
//!
//! Four things keep the store off the path of most calls, and its failures off the path of all:
//!
//! - **Denials are kept here.** A denied key is denied again without a question until its time is up.
//! - **Leases.** A batch of calls is taken from the store at once and spent here. It is taken before it is
//!   spent, so nothing can be spent twice; what a process takes and loses is lost. As every process may sit
//!   on a batch that was taken long ago, all batches together are set aside from the burst: in no stretch of
//!   time are more calls made than the quota allows, whoever made them. The usual alternative, to spend here and to
//!   settle later, admits whatever all processes spend between two settlements.
//! - **A breaker and a time-out** stand before the store, so a call waits for a failing store for a moment
//!   and for one that has failed not at all.
//! - **A policy** decides without the store. By default that is a limiter in this process, which has seen
//!   every call that was admitted here and therefore begins warm.
//!
//! No error of a store ever reaches a caller.

mod builder;
mod clock;
mod denials;
mod inspect;
mod key;
mod leases;

use crate::breaker::CircuitBreaker;
use crate::error::{ConfigError, GuardError, StoreError};
use crate::limiter::{Decision, KeyedLimiter, Rule};
use crate::name::Name;
use crate::quota::Quota;
use crate::store::{Charge, RateLimitStore, TICK_SHIFT, Verdict};
use crate::timeline::Timeline;
use clock::SharedClock;
use denials::Denials;
use inspect::Figures;
use key::Key;
use leases::{Batch, Leases};
use perf_core::Transience;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

pub use builder::{SharedLimiterBuilder, StorePolicy};

/// Admits calls of each key as a [`Quota`](crate::Quota) allows, over all processes that share a
/// [`RateLimitStore`].
///
/// Keys are any bytes. One that with the limiter's name exceeds 200 bytes is stored as its SHA-256.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::{MemoryStore, SharedLimiter};
///
/// let limiter = SharedLimiter::builder("mail", &"2/minute".parse()?, MemoryStore::new()).build()?;
/// assert!(limiter.check("alice").await.is_allowed());
/// assert!(limiter.check("alice").await.is_allowed());
/// assert!(!limiter.check("alice").await.is_allowed());
/// assert!(limiter.check("bob").await.is_allowed());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SharedLimiter {
    name: Name,
    rules: Box<[Rule]>,
    store: Arc<dyn RateLimitStore>,
    breaker: CircuitBreaker,
    policy: StorePolicy,
    /// Sees every call that is admitted here, and decides when the store cannot.
    local: KeyedLimiter<SharedClock>,
    local_burst: u32,
    denials: Denials,
    leases: Option<Leases>,
    hasher: ahash::RandomState,
    time: Timeline<SharedClock>,
    figures: Figures,
}

/// How long to wait for a store of which nothing is known but that it failed.
const STORE_PAUSE: Duration = Duration::from_millis(250);

impl SharedLimiter {
    /// Settings for a limiter. The name stands before its keys in the store: limiters of one name share
    /// their counts.
    pub fn builder(
        name: impl Into<Name>,
        quota: &Quota,
        store: impl RateLimitStore,
    ) -> SharedLimiterBuilder {
        SharedLimiterBuilder::new(name.into(), quota.clone(), Arc::new(store))
    }

    /// Takes one call from the key's quota, or nothing if it denies it.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped while the store is asked may have been taken.
    pub async fn check(&self, key: impl AsRef<[u8]>) -> Decision {
        self.decide(key.as_ref(), 1).await
    }

    /// Takes `cost` calls from the key's quota at once, or nothing if it denies them.
    ///
    /// # Errors
    ///
    /// [`ConfigError::CostExceedsBurst`] if no wait could make the cost admissible. With leases, what is set
    /// aside for them is no part of the burst.
    ///
    /// # Cancel safety
    ///
    /// As [`check`](Self::check).
    pub async fn check_cost(
        &self,
        key: impl AsRef<[u8]>,
        cost: u32,
    ) -> Result<Decision, ConfigError> {
        let burst = self.burst();
        if cost > burst {
            return Err(ConfigError::CostExceedsBurst { cost, burst });
        }
        Ok(self.decide(key.as_ref(), cost).await)
    }

    /// What a call of the key would be told now; takes nothing.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn peek(&self, key: impl AsRef<[u8]>) -> Decision {
        let key = key.as_ref();
        let (stored, charges) = (Key::of(&self.name, key), self.charges(1));
        let asked = self.store.peek(stored.as_bytes(), &charges);
        match self.ask(asked).await {
            Ok(verdict) => self.decided(verdict),
            Err(_) => self.local.peek(key),
        }
    }

    /// Gives back `cost` calls of the key that were admitted and not made. A store that is down keeps them
    /// until they come back by themselves.
    ///
    /// # Cancel safety
    ///
    /// A refund that is dropped while the store is asked may have been made.
    pub async fn refund(&self, key: impl AsRef<[u8]>, cost: u32) {
        let key = key.as_ref();
        self.local.refund(key, cost);
        let (stored, charges) = (Key::of(&self.name, key), self.charges(cost));
        // A store that is down is no error of the caller's.
        let _refunded = self
            .ask(self.store.refund(stored.as_bytes(), &charges))
            .await;
        self.denials.forget(self.hasher.hash_one(key));
    }

    /// Gives the key its whole burst, here and in the store. Other processes that have denied it lately
    /// keep to that until its time is up.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked: the key then keeps its count there.
    ///
    /// # Cancel safety
    ///
    /// A reset that is dropped while the store is asked may have been made.
    pub async fn reset(&self, key: impl AsRef<[u8]>) -> Result<(), GuardError<StoreError>> {
        let key = key.as_ref();
        self.ask(self.store.reset(Key::of(&self.name, key).as_bytes()))
            .await?;
        self.local.refund(key, u32::MAX);
        self.denials.forget(self.hasher.hash_one(key));
        Ok(())
    }

    /// The quota.
    #[must_use]
    pub fn quota(&self) -> Quota {
        Quota::of_rules(self.rules.iter().map(|rule| rule.limit))
    }

    /// The most that can be taken at once.
    fn burst(&self) -> u32 {
        let bursts = self.rules.iter().map(|rule| rule.limit.burst());
        bursts.min().unwrap_or(0) - self.reserve()
    }

    /// What all processes together may hold in leases.
    fn reserve(&self) -> u32 {
        self.leases.as_ref().map_or(0, Leases::reserve)
    }

    fn charges(&self, cost: u32) -> Vec<Charge> {
        let reserve = self.reserve();
        let charge = |rule: &Rule| rule.charge(cost, reserve);
        self.rules.iter().map(charge).collect()
    }

    async fn decide(&self, key: &[u8], cost: u32) -> Decision {
        let hash = self.hasher.hash_one(key);
        let batch = self
            .leases
            .as_ref()
            .and_then(|leases| leases.batch(hash, cost));
        if let Some(verdict) = batch.as_ref().and_then(|batch| batch.spend(cost)) {
            return self.admitted(key, cost, verdict);
        }
        if let Some(denied) = self.denials.recall(hash, self.time.now(), cost) {
            return self.figures.note(self.decided(self.recalled(denied, cost)));
        }
        let answer = match &batch {
            Some(batch) => self.refill(key, hash, cost, batch).await,
            None => self.ask(self.acquire(key, hash, cost)).await,
        };
        match answer {
            Ok(verdict) if verdict.is_allowed() => self.admitted(key, cost, verdict),
            Ok(denied) => self.figures.note(self.decided(denied)),
            Err(error) => self.figures.note(self.without_store(key, cost, &error)),
        }
    }

    /// Asks the store, for as long as it may take and unless it has failed too often.
    async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, GuardError<StoreError>> {
        let answer = self.breaker.call(question).await;
        if answer.is_err() {
            self.figures.note_failure();
        }
        answer
    }

    async fn acquire(&self, key: &[u8], hash: u64, cost: u32) -> Result<Verdict, StoreError> {
        self.figures.note_question();
        let (stored, charges) = (Key::of(&self.name, key), self.charges(cost));
        let verdict = self.store.acquire(stored.as_bytes(), &charges).await?;
        if !verdict.is_allowed() {
            self.denials.remember(hash, self.time.now(), cost, &verdict);
        }
        Ok(verdict)
    }

    /// Fills the batch and takes `cost` from it. One caller at a time asks the store for one key: with
    /// two, more could lie in the batch than was set aside for it. To wait for one's turn is no failure of
    /// the store, however many are before; but whoever has seen it fail while waiting does not ask again.
    async fn refill(
        &self,
        key: &[u8],
        hash: u64,
        cost: u32,
        batch: &Batch,
    ) -> Result<Verdict, GuardError<StoreError>> {
        let failures = batch.failures();
        let _one_at_a_time = batch.refilling().await;
        if batch.failures() != failures {
            let failed = StoreError::new("it has just failed another call", Transience::Transient);
            return self.ask(ready(Err(failed))).await;
        }
        loop {
            if let Some(verdict) = batch.spend(cost) {
                return Ok(verdict);
            }
            if let Some(denied) = self.denials.recall(hash, self.time.now(), cost) {
                return Ok(self.recalled(denied, cost));
            }
            let wanted = batch.missing();
            let (stored, charges) = (Key::of(&self.name, key), self.charges(wanted));
            let asked = async {
                self.figures.note_question();
                self.store.acquire(stored.as_bytes(), &charges).await
            };
            let verdict = self.ask(asked).await.inspect_err(|_| batch.fail())?;
            if verdict.is_allowed() {
                batch.fill(wanted, verdict);
            } else {
                let queued = batch.patience(&charges, verdict);
                self.denials.remember(hash, self.time.now(), 1, &queued);
                return Ok(queued);
            }
        }
    }

    /// A denial from memory, which knows the wait alone.
    fn recalled(&self, denied: Verdict, cost: u32) -> Verdict {
        let charge = self.rules[denied.limit].charge(cost, self.reserve());
        Verdict {
            ahead: charge.capacity - charge.price + denied.wait,
            ..denied
        }
    }

    fn decided(&self, verdict: Verdict) -> Decision {
        let rule = &self.rules[verdict.limit];
        // What is set aside for leases is as good as taken.
        let reserved = rule.charge(self.reserve(), 0).price;
        rule.decided(verdict.ahead + reserved, verdict.wait)
    }

    fn admitted(&self, key: &[u8], cost: u32, verdict: Verdict) -> Decision {
        // It has been admitted whatever the local limiter says, which is only kept warm.
        let _kept_warm = self.local.check_cost(key, cost.min(self.local_burst));
        self.decided(verdict)
    }

    #[cold]
    fn without_store(&self, key: &[u8], cost: u32, error: &GuardError<StoreError>) -> Decision {
        match self.policy {
            StorePolicy::Local => {
                let cost = cost.min(self.local_burst);
                let decision = self.local.check_cost(key, cost);
                decision.expect("no more is asked than the local burst")
            }
            StorePolicy::Open => self.rules[0].decided(0, 0),
            StorePolicy::Closed => {
                let wait = error.retry_after().unwrap_or(STORE_PAUSE).as_nanos();
                let ticks = u64::try_from(wait >> TICK_SHIFT).unwrap_or(u64::MAX >> TICK_SHIFT);
                self.rules[0].decided(0, ticks + 1)
            }
        }
    }
}

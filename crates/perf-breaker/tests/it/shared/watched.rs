//! A store that counts, and fails on command.

use crate::support::MS;
use async_trait::async_trait;
use perf_breaker::{Charge, RateLimitStore, StoreError, Verdict};
use perf_core::{Clock, SystemClock, Transience};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
pub(super) struct Watched(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Box<dyn RateLimitStore>,
    questions: AtomicU64,
    longest_key: AtomicUsize,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    Working,
    /// It answers at the second poll.
    Slow,
    /// It answers after ten milliseconds.
    Distant,
    Failing,
    Hanging,
}

impl Watched {
    pub(super) fn new(store: impl RateLimitStore) -> Self {
        Self(Arc::new(Inner {
            store: Box::new(store),
            questions: AtomicU64::new(0),
            longest_key: AtomicUsize::new(0),
            mood: Mutex::new(Mood::Working),
        }))
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    pub(super) fn questions(&self) -> u64 {
        self.0.questions.load(SeqCst)
    }

    pub(super) fn longest_key(&self) -> usize {
        self.0.longest_key.load(SeqCst)
    }

    async fn ask(&self, key: &[u8]) -> Result<&dyn RateLimitStore, StoreError> {
        self.0.questions.fetch_add(1, SeqCst);
        self.0.longest_key.fetch_max(key.len(), SeqCst);
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Working => {}
            Mood::Slow => tokio::task::yield_now().await,
            Mood::Distant => SystemClock.sleep(10 * MS).await,
            Mood::Failing => return Err(StoreError::new("it fails", Transience::Transient)),
            Mood::Hanging => std::future::pending().await,
        }
        Ok(&*self.0.store)
    }
}

#[async_trait]
impl RateLimitStore for Watched {
    async fn acquire(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        self.ask(key).await?.acquire(key, charges).await
    }

    async fn peek(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        self.ask(key).await?.peek(key, charges).await
    }

    async fn refund(&self, key: &[u8], charges: &[Charge]) -> Result<(), StoreError> {
        self.ask(key).await?.refund(key, charges).await
    }

    async fn reset(&self, key: &[u8]) -> Result<(), StoreError> {
        self.ask(key).await?.reset(key).await
    }
}

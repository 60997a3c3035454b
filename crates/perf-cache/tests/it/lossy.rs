//! A backplane that loses messages, and a store that does what it was asked later than its caller waits.

use async_trait::async_trait;
use parking_lot::Mutex;
use perf_cache::backplane::{Backplane, MemoryBackplane, Subscription};
use perf_cache::store::{
    LeaseRequest, Leased, MemoryStore, Pattern, Reading, RemoteStore, Scanned, Settlement,
    StoreError, StoreInfo,
};
use perf_core::{Clock, ManualClock, Transience};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// One node's way to the others.
#[derive(Clone, Debug)]
pub(crate) struct Lossy {
    plane: MemoryBackplane,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Faults {
    /// How many of a hundred messages do not arrive.
    lost: watch::Sender<u8>,
    is_cut: watch::Sender<bool>,
    rng: Mutex<fastrand::Rng>,
}

impl Lossy {
    pub(crate) fn new(plane: &MemoryBackplane, seed: u64) -> Self {
        Self {
            plane: plane.clone(),
            faults: Arc::new(Faults {
                lost: watch::Sender::new(0),
                is_cut: watch::Sender::new(false),
                rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            }),
        }
    }

    /// Loses that many of a hundred messages.
    pub(crate) fn lose(&self, percent: u8) {
        self.faults.lost.send_replace(percent);
    }

    /// Ends what is open and refuses what is new, until it is mended.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.faults.is_cut.send_replace(is_cut);
    }

    fn ensure_whole(&self) -> Result<(), StoreError> {
        match *self.faults.is_cut.borrow() {
            true => Err(broken()),
            false => Ok(()),
        }
    }
}

fn broken() -> StoreError {
    StoreError::new(
        std::io::Error::from(std::io::ErrorKind::ConnectionReset),
        Transience::Transient,
    )
}

#[async_trait]
impl Backplane for Lossy {
    async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        self.ensure_whole()?;
        self.plane.publish(channel, message).await
    }

    async fn subscribe(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError> {
        self.ensure_whole()?;
        Ok(Box::new(Ear {
            heard: self.plane.subscribe(channel).await?,
            is_cut: self.faults.is_cut.subscribe(),
            faults: Arc::clone(&self.faults),
        }))
    }
}

struct Ear {
    heard: Box<dyn Subscription>,
    is_cut: watch::Receiver<bool>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Subscription for Ear {
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let message = tokio::select! {
                biased;
                _cut = self.is_cut.wait_for(|is_cut| *is_cut) => return None,
                message = self.heard.next() => message?,
            };
            if self.faults.rng.lock().u8(0..100) >= *self.faults.lost.borrow() {
                return Some(message);
            }
        }
    }
}

/// A memory store behind a network: what was asked of it happens some turns later, even if its caller has
/// given up, and now and then the answer is lost.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) store: MemoryStore,
    /// The longest way there, in turns of the runtime.
    turns: u64,
    /// How many of a thousand requests are answered by an error, done or not.
    failing: u64,
}

impl Late {
    pub(crate) fn new(clock: &ManualClock, turns: u64, failing: u64) -> Self {
        Self {
            store: MemoryStore::with_clock(clock.clone()),
            turns,
            failing,
        }
    }

    async fn ask<T, F>(&self, answer: impl FnOnce(MemoryStore) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (turns, fails) = (
            fastrand::u64(0..=self.turns),
            fastrand::u64(0..1_000) < self.failing,
        );
        let is_lost = fails && fastrand::bool();
        let (sender, receiver) = oneshot::channel();
        let answer = answer(self.store.clone());
        tokio::spawn(async move {
            pass(turns).await;
            if is_lost {
                return;
            }
            let answer = answer.await;
            pass(turns).await;
            let _gone = sender.send(if fails { Err(broken()) } else { answer });
        });
        receiver.await.unwrap_or_else(|_| Err(broken()))
    }
}

/// Lets others go first.
pub(crate) async fn pass(turns: u64) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// Moves the clock in steps, and lets every task go as far as it can after each.
pub(crate) async fn run(clock: &ManualClock, duration: Duration, step: Duration) {
    let end = clock.now().saturating_add(duration);
    while clock.now() < end {
        clock.advance(step);
        pass(30).await;
    }
}

#[async_trait]
impl RemoteStore for Late {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        let (keys, tags) = (keys.to_vec(), tags.to_vec());
        self.ask(async move |store: MemoryStore| store.read(&keys, &tags).await)
            .await
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        let tags = tags.to_vec();
        let requests: Vec<_> = requests
            .iter()
            .map(|request| {
                let (key, replacing) = (request.key.to_owned(), request.replacing.to_vec());
                (key, request.lease, replacing)
            })
            .collect();
        self.ask(async move |store: MemoryStore| {
            let requests: Vec<_> = requests
                .iter()
                .map(|(key, lease, replacing)| LeaseRequest {
                    key,
                    lease: *lease,
                    replacing,
                })
                .collect();
            store.lease(&requests, hold, &tags).await
        })
        .await
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        let settlements: Vec<_> = settlements
            .iter()
            .map(|own| {
                let value = own.value.map(|(value, ttl)| (value.to_vec(), ttl));
                (own.key.to_owned(), own.lease, value)
            })
            .collect();
        self.ask(async move |store: MemoryStore| {
            let settlements: Vec<_> = settlements
                .iter()
                .map(|(key, lease, value)| Settlement {
                    key,
                    lease: *lease,
                    value: value.as_ref().map(|(value, ttl)| (&value[..], *ttl)),
                })
                .collect();
            store.settle(&settlements).await
        })
        .await
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_vec());
        self.ask(async move |store: MemoryStore| store.put(&key, &value, ttl).await)
            .await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let keys = keys.to_vec();
        self.ask(async move |store: MemoryStore| store.remove(&keys).await)
            .await
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        let tags = tags.to_vec();
        self.ask(async move |store: MemoryStore| store.generations(&tags).await)
            .await
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        let tags = tags.to_vec();
        self.ask(async move |store: MemoryStore| store.renew(&tags).await)
            .await
    }

    async fn scan(&self, pattern: &Pattern, position: u64) -> Result<Scanned, StoreError> {
        self.store.scan(pattern, position).await
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        self.store.info().await
    }
}

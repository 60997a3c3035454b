use super::StoreInfo;
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use crate::pattern::Pattern;
use async_trait::async_trait;
use parking_lot::Mutex;
use perf_core::{Clock, Moment, SystemClock};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A far store in this process, for tests and single-process set-ups. Clones share it. It has no bound.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    values: HashMap<String, (Vec<u8>, Moment)>,
    generations: HashMap<String, u64>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// An empty store that expires its values by `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            state: Arc::default(),
        }
    }

    fn until(&self, ttl: Duration) -> Moment {
        self.clock.now().saturating_add(ttl)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn value(&self, key: &str, now: Moment) -> Option<&Vec<u8>> {
        let (value, until) = self.values.get(key)?;
        (now < *until).then_some(value)
    }

    fn generation(&mut self, (tag, fresh): &(String, u64)) -> u64 {
        *self.generations.entry(tag.clone()).or_insert(*fresh)
    }
}

#[async_trait]
impl RemoteStore for MemoryStore {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        let (state, now) = (self.state.lock(), self.clock.now());
        let values = keys.iter().map(|key| state.value(key, now).cloned());
        let generations = tags.iter().map(|tag| state.generations.get(tag).copied());
        Ok(Reading {
            values: values.collect(),
            generations: generations.collect(),
        })
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        let (mut state, now) = (self.state.lock(), self.clock.now());
        let mut granted = Vec::with_capacity(requests.len());
        for request in requests {
            let is_free = state.value(request.key, now).is_none_or(|value| {
                value.is_empty()
                    || (!request.replacing.is_empty() && value.starts_with(request.replacing))
            });
            if is_free {
                let lease = (request.lease.to_vec(), now.saturating_add(hold));
                state.values.insert(request.key.to_owned(), lease);
            }
            granted.push(is_free);
        }
        let generations = tags.iter().map(|tag| state.generation(tag)).collect();
        Ok(Leased {
            granted,
            generations,
        })
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        let (mut state, now) = (self.state.lock(), self.clock.now());
        let mut settled = Vec::with_capacity(settlements.len());
        for settlement in settlements {
            let stands =
                state.value(settlement.key, now).map(Vec::as_slice) == Some(&settlement.lease[..]);
            settled.push(stands);
            match settlement.value {
                _ if !stands => {}
                Some((value, ttl)) => {
                    let value = (value.to_vec(), now.saturating_add(ttl));
                    state.values.insert(settlement.key.to_owned(), value);
                }
                None => {
                    state.values.remove(settlement.key);
                }
            }
        }
        Ok(settled)
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let value = (value.to_vec(), self.until(ttl));
        self.state.lock().values.insert(key.to_owned(), value);
        Ok(())
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        for key in keys {
            state.values.remove(key);
        }
        Ok(())
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        let mut state = self.state.lock();
        Ok(tags.iter().map(|tag| state.generation(tag)).collect())
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        self.state.lock().generations.extend(tags.iter().cloned());
        Ok(())
    }

    async fn scan(&self, pattern: &Pattern, _: u64) -> Result<Scanned, StoreError> {
        let state = self.state.lock();
        let keys = state.values.keys().filter(|key| pattern.matches(key));
        Ok(Scanned {
            keys: keys.cloned().collect(),
            next: None,
        })
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let keys = self.state.lock().values.len();
        Ok(StoreInfo {
            keys: u64::try_from(keys).ok(),
            ..StoreInfo::new("memory")
        })
    }
}

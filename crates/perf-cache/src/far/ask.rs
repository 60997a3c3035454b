//! How long the store is waited for, and what follows when it does not answer.

use super::protocol::{Far, count};
use crate::CacheError;
use crate::store::StoreError;
use perf_core::Moment;
use std::sync::atomic::Ordering;

impl<K, V> Far<K, V> {
    /// Whether reads go without the store.
    pub(crate) fn is_cooling(&self) -> bool {
        self.debts.load(Ordering::Acquire)
            || self.time.now().as_nanos() < self.cooling_until.load(Ordering::Relaxed)
    }

    /// Waits for the store, no longer than allowed. After a failure, reads go without it for a while.
    ///
    /// The limit of a request outlives it until that of the next one is set. A runtime whose nearest timer
    /// is further away than a new one wakes its own driver to tell it, by a system call that costs more
    /// than all else that is done here; a nearer one that is still set, though nobody waits for it any
    /// more, spares that for all timers of the next request.
    pub(super) async fn ask<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, CacheError> {
        let mut limit = self.time.sleep(self.tier.timeout);
        let error = tokio::select! {
            biased;
            answer = answer => match answer {
                Ok(answer) => {
                    let _former = self.unreached.lock().replace(limit);
                    return Ok(answer);
                }
                Err(source) => CacheError::Far { operation, source },
            },
            () = &mut limit => CacheError::FarTimeout { operation },
        };
        count(&self.failures);
        let until: Moment = self.time.now().saturating_add(self.tier.cool_down);
        self.cooling_until
            .fetch_max(until.as_nanos(), Ordering::Relaxed);
        Err(error)
    }
}

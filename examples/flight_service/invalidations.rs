//! Telling the cache what has changed, for as long as it takes.
//!
//! A write is acknowledged once it is committed. If Redis cannot be told then, its copy would be read again as soon as
//! Redis is back. So what could not be told is kept and repeated until it is.

use super::responses::Responses;
use perfkit::core::{Clock as _, SystemClock};
use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const PAUSE: Duration = Duration::from_millis(100);

/// Invalidates answers by their tags. Clones share what is left to do.
#[derive(Clone)]
pub(crate) struct Invalidations {
    responses: Responses,
    untold: Arc<Mutex<BTreeSet<String>>>,
    /// Held while some of them are being told, and are not in the set.
    telling: Arc<tokio::sync::Mutex<()>>,
    bell: Arc<Notify>,
}

impl Invalidations {
    /// Starts the task that repeats what failed.
    pub(crate) fn start(responses: Responses) -> Self {
        let invalidations = Self {
            responses,
            untold: Arc::default(),
            telling: Arc::default(),
            bell: Arc::default(),
        };
        let repeating = invalidations.clone();
        tokio::spawn(async move {
            loop {
                repeating.bell.notified().await;
                repeating.settle().await;
            }
        });
        invalidations
    }

    /// Forgets the answers with any of these tags: at once in this process, and everywhere as soon as it can be told.
    pub(crate) async fn of(&self, tags: impl IntoIterator<Item = String>) {
        let tags: BTreeSet<String> = tags.into_iter().collect();
        if !self.try_telling(&tags).await {
            let mut untold = self.lock();
            if untold.is_empty() {
                tracing::warn!("the other instances cannot be told of changes; they will be");
            }
            untold.extend(tags);
            self.bell.notify_one();
        }
    }

    /// Returns when nothing is left to tell.
    pub(crate) async fn settle(&self) {
        let _telling = self.telling.lock().await;
        loop {
            let untold = mem::take(&mut *self.lock());
            if untold.is_empty() {
                return;
            }
            if !self.try_telling(&untold).await {
                self.lock().extend(untold);
                SystemClock.sleep(PAUSE).await;
            }
        }
    }

    async fn try_telling(&self, tags: &BTreeSet<String>) -> bool {
        match self.responses.forget(tags).await {
            Err(error) if error.is_transient() => false,
            Err(error) => {
                tracing::error!(%error, "an invalidation is lost");
                true
            }
            Ok(()) => true,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

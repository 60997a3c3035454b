//! What an operator asks of the far tier.

use super::protocol::Far;
use crate::CacheError;
use crate::pattern::Pattern;
use crate::store::StoreInfo;

/// How many keys are removed in one request.
const REMOVED_AT_ONCE: usize = 1_000;

impl<K, V> Far<K, V> {
    /// Removes what lies under keys that match, in batches; tells the number so far after each.
    pub(crate) async fn remove_matching(
        &self,
        pattern: Pattern,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<u64, CacheError> {
        let store = &self.tier.store;
        let pattern = pattern.within(self.key_prefix());
        let (mut position, mut removed) = (0, 0);
        loop {
            let scanned = self.ask("scan", store.scan(&pattern, position)).await?;
            for keys in scanned.keys.chunks(REMOVED_AT_ONCE) {
                self.ask("remove", store.remove(keys)).await?;
                removed += u64::try_from(keys.len()).unwrap_or(u64::MAX);
                progress(removed);
            }
            match scanned.next {
                Some(next) => position = next,
                None => return Ok(removed),
            }
        }
    }

    /// What the store tells of itself.
    pub(crate) async fn info(&self) -> Result<StoreInfo, CacheError> {
        self.ask("tell of itself", self.tier.store.info()).await
    }
}

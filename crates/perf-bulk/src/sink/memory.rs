use super::{DeadLetter, DeadLetterSink, KeptLetter, LetterId};
use crate::error::BulkError;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Dead letters in memory, for tests and for what a restart may forget.
#[derive(Debug, Default)]
pub struct MemoryDeadLetters {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: BTreeMap<LetterId, DeadLetter>,
    last: u128,
}

impl MemoryDeadLetters {
    /// An empty sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl DeadLetterSink for MemoryDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), BulkError> {
        let mut state = self.state.lock();
        for letter in letters {
            state.last += 1;
            let id = LetterId(state.last);
            state.kept.insert(id, letter.clone());
        }
        Ok(())
    }

    async fn read(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<KeptLetter>, BulkError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state.lock();
        let kept = state.kept.range((from, Bound::Unbounded)).take(limit);
        Ok(kept
            .map(|(id, letter)| KeptLetter::new(*id, letter.clone()))
            .collect())
    }

    async fn discard(&self, ids: &[LetterId]) -> Result<(), BulkError> {
        let mut state = self.state.lock();
        for id in ids {
            state.kept.remove(id);
        }
        Ok(())
    }
}

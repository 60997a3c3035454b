use super::book::{Book, Entry};
use crate::plans::Explanation;
use crate::sql::{Statement, Verb};
use perf_core::Moment;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A statement that is worth an explanation.
pub(crate) struct Slowest(Arc<Entry>);

impl Book {
    /// The query that was slow most often, at least `enough` times, and has no explanation younger than
    /// `again`.
    pub(crate) fn slowest(&self, enough: u64, again: Duration, now: Moment) -> Option<Slowest> {
        let entries = self.entries();
        let worthy = entries.into_iter().filter(|entry| {
            let explained = entry.explanation.lock();
            entry.slow.load(Relaxed) >= enough
                && entry.statement.shape().verb == Verb::Select
                && (explained.as_ref()).is_none_or(|(at, _)| now.since(*at) >= again)
        });
        worthy
            .max_by_key(|entry| entry.slow.load(Relaxed))
            .map(Slowest)
    }

    /// What was found out about slow statements, the most frequent first.
    pub(crate) fn explanations(&self) -> Vec<Explanation> {
        let entries = self.entries();
        let explanations = entries.iter().filter_map(|entry| {
            let explanation = entry.explanation.lock();
            Some(explanation.as_ref()?.1.clone())
        });
        let mut explanations: Vec<_> = explanations.collect();
        explanations.sort_by(|a, b| (b.slow, &a.statement).cmp(&(a.slow, &b.statement)));
        explanations
    }
}

impl Slowest {
    pub(crate) fn statement(&self) -> &Statement {
        &self.0.statement
    }

    /// How often it has been slow.
    pub(crate) fn times(&self) -> u64 {
        self.0.slow.load(Relaxed)
    }

    /// Keeps what was found out about it.
    pub(crate) fn explain(&self, explanation: Explanation, now: Moment) {
        *self.0.explanation.lock() = Some((now, explanation));
    }
}

use super::SharedLimiter;
use crate::breaker::State;
use crate::limiter::Decision;
use perf_core::{Health, Inspect, Registry, Sample};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is shown of a shared limiter.
#[derive(Debug, Default)]
pub(super) struct Figures {
    denied: AtomicU64,
    questions: AtomicU64,
    failures: AtomicU64,
}

impl Figures {
    pub(super) fn note(&self, decision: Decision) -> Decision {
        if !decision.is_allowed() {
            self.denied.fetch_add(1, Relaxed);
        }
        decision
    }

    pub(super) fn note_question(&self) {
        self.questions.fetch_add(1, Relaxed);
    }

    pub(super) fn note_failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }
}

impl SharedLimiter {
    /// Shows the limiter in `registry` for as long as it lives, and the breaker before its store.
    pub fn register(self: &Arc<Self>, registry: &Registry) {
        registry.register(self);
        self.breaker.register(registry);
    }
}

impl Inspect for SharedLimiter {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "shared_limiter"
    }

    fn health(&self) -> Health {
        match self.breaker.state() {
            State::Closed => Health::Healthy,
            _ => Health::Degraded("the store does not answer".into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        samples.extend([
            Sample::counter("denied", self.figures.denied.load(Relaxed)),
            Sample::counter("store_questions", self.figures.questions.load(Relaxed)),
            Sample::counter("decided_without_store", self.figures.failures.load(Relaxed)),
        ]);
    }
}

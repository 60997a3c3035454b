//! Trying again what the database undid for a passing reason.

use crate::error::BulkError;
use perf_core::{Backoff, Clock};
use std::sync::Arc;
use std::time::Duration;

/// Three more attempts, within about four seconds.
pub(crate) const DEFAULT: Backoff = Backoff::exponential(Duration::from_millis(50))
    .with_cap(Duration::from_secs(2))
    .with_max_attempts(4);

/// The attempts that one unit of work has left.
pub(crate) struct Retries {
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    clock: Arc<dyn Clock>,
    /// Whether the transaction is the caller's own, which only the caller can repeat.
    nested: bool,
}

impl Retries {
    pub(crate) fn new(backoff: &Backoff, clock: &Arc<dyn Clock>, nested: bool) -> Self {
        Self {
            delays: Box::new(backoff.delays(fastrand::Rng::new())),
            clock: Arc::clone(clock),
            nested,
        }
    }

    /// Whether to try again, after the wait that is due.
    pub(crate) async fn again(&mut self, error: &BulkError) -> bool {
        if self.nested || !is_answered(error) || !error.is_transient() {
            return false;
        }
        match self.delays.next() {
            Some(delay) => {
                tracing::debug!(?delay, error = %error, "a chunk was undone and is tried again");
                self.clock.sleep(delay).await;
                true
            }
            None => false,
        }
    }
}

/// Whether the database itself refused, so that the connection lives and nothing is in doubt.
fn is_answered(error: &BulkError) -> bool {
    match error {
        BulkError::Database { source, .. } => source
            .downcast_ref()
            .is_none_or(|error: &sqlx::Error| matches!(error, sqlx::Error::Database(_))),
        _ => false,
    }
}

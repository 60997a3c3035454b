//! Trying again what the database undid for a passing reason.

use crate::backend::{Backend, Scope};
use crate::error::BulkError;
use crate::progress::Meter;
use perf_core::{Backoff, Clock};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What is done in one transaction, and undone with it.
pub(crate) trait Work<B: Backend>: Send {
    /// What it comes to.
    type Output: Send;

    /// Does all of it; rows in an error are those of the input.
    fn run(
        &mut self,
        scope: &mut Scope<'_, B>,
        meter: &mut Meter<'_>,
    ) -> impl Future<Output = Result<Self::Output, BulkError>> + Send;
}

/// Does `work` in a transaction, and again if the database undoes it for a passing reason.
pub(crate) async fn transact<B: Backend, W: Work<B>>(
    connection: &mut B::Connection,
    mut work: W,
    meter: &mut Meter<'_>,
    retry: &Retry,
) -> Result<W::Output, BulkError> {
    let mut retries = retry.begin(B::depth(connection) > 0);
    loop {
        let before = meter.position();
        match attempt(connection, &mut work, meter).await {
            Ok(done) => return Ok(done),
            Err(error) if retries.again(&error).await => meter.return_to(before),
            Err(error) => return Err(error),
        }
    }
}

async fn attempt<B: Backend, W: Work<B>>(
    connection: &mut B::Connection,
    work: &mut W,
    meter: &mut Meter<'_>,
) -> Result<W::Output, BulkError> {
    let mut scope = B::begin(connection).await?;
    let done = work.run(&mut scope, meter).await?;
    B::commit(scope).await?;
    Ok(done)
}

/// When to try again.
pub(crate) struct Retry {
    pub(crate) backoff: Backoff,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Retry {
    /// The attempts of one unit of work; none where the transaction is the caller's own, who alone can repeat it.
    pub(crate) fn begin(&self, nested: bool) -> Retries {
        Retries {
            delays: Box::new(self.backoff.delays(fastrand::Rng::new())),
            clock: Arc::clone(&self.clock),
            nested,
        }
    }
}

/// The attempts that one unit of work has left.
pub(crate) struct Retries {
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    clock: Arc<dyn Clock>,
    nested: bool,
}

impl Retries {
    /// Whether to try again, after the wait that is due.
    pub(crate) async fn again(&mut self, error: &BulkError) -> bool {
        if self.nested || !is_answered(error) || !error.is_transient() {
            return false;
        }
        match self.delays.next() {
            Some(delay) => {
                tracing::debug!(?delay, error = %error, "what was undone is tried again");
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

//! What a backend needs to report in the handler's own transaction.

use super::Job;
use crate::error::TaskError;
use crate::tasks::{Outcome, Settlement};
use serde::Serialize;
use std::sync::atomic::Ordering;

impl Job {
    /// The report that this run succeeded.
    pub(crate) fn success<O: Serialize>(&self, output: &O) -> Result<Settlement, TaskError> {
        let output = serde_json::to_string(output);
        let output = output.map_err(|error| TaskError::codec(&self.name, error))?;
        Ok(Settlement::new(self.lease, Outcome::Succeeded(output)))
    }

    /// Notes that the report is part of the handler's transaction.
    pub(crate) fn set_acknowledged(&self) {
        self.acknowledged.store(true, Ordering::Release);
    }
}

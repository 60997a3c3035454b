//! One server for the whole test process.

use crate::Error;
use std::sync::{Mutex, PoisonError};

/// A slot for a server that is started on first use and ends with the process.
pub(super) struct Shared<S: 'static>(Mutex<Option<&'static S>>);

impl<S> Shared<S> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The server, started by the first caller while the others wait. A failed start is tried again.
    pub(super) fn start_once(
        &self,
        start: impl FnOnce() -> Result<S, Error>,
    ) -> Result<&'static S, Error> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = *slot {
            return Ok(server);
        }
        // A static is never dropped; the supervising shell ends the server with the process.
        let server: &'static S = Box::leak(Box::new(start()?));
        *slot = Some(server);
        Ok(server)
    }
}

use perf_core::clock::Sleep;
use std::future::pending;

/// A point in time that may be waited for several times.
pub(super) struct Limit {
    sleep: Option<Sleep>,
    is_reached: bool,
}

impl Limit {
    /// Never, if there is nothing to sleep on.
    pub(super) const fn new(sleep: Option<Sleep>) -> Self {
        Self {
            sleep,
            is_reached: false,
        }
    }

    pub(super) async fn reached(&mut self) {
        match &mut self.sleep {
            _ if self.is_reached => {}
            Some(sleep) => {
                sleep.await;
                self.is_reached = true;
            }
            None => pending().await,
        }
    }
}

/// How long a caller waits.
pub(super) struct Patience {
    /// For any value.
    pub(super) hard: Limit,
    /// For a fresh one, if it has another.
    pub(super) soft: Limit,
}

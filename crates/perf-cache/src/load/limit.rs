use crate::time::Time;
use perf_core::Moment;
use perf_core::clock::Sleep;
use std::future::poll_fn;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;

/// A point in time that may be waited for several times.
pub(super) struct Limit {
    /// Never, if there is none.
    end: Option<Moment>,
    /// Whether a look into the far tier comes to its own end before.
    outlasts_look: bool,
    sleep: Option<Sleep>,
    is_reached: bool,
}

impl Limit {
    /// `limit` from now, where a look takes no longer than `look`.
    pub(super) fn new(now: Moment, limit: Option<Duration>, look: Duration) -> Self {
        Self {
            end: limit.map(|limit| now.saturating_add(limit)),
            outlasts_look: limit.is_some_and(|limit| limit > look),
            sleep: None,
            is_reached: false,
        }
    }

    /// Waits for it. While there is but a look to wait for it sets no timer that it can do without.
    pub(super) async fn reached(
        &mut self,
        time: &Time,
        runtime: &Handle,
        is_looking: impl Fn() -> bool,
    ) {
        poll_fn(|context| {
            let Some(end) = self.end else {
                return Poll::Pending;
            };
            if self.sleep.is_none() && self.outlasts_look && is_looking() {
                return Poll::Pending;
            }
            if !self.is_reached {
                let left = || end.since(time.now());
                let start = || time.sleep_on(runtime, left());
                ready!(self.sleep.get_or_insert_with(start).as_mut().poll(context));
                self.is_reached = true;
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// How long a caller waits, by the timer of this runtime where it is outside any.
pub(super) struct Patience {
    pub(super) runtime: Handle,
    /// For any value.
    pub(super) hard: Limit,
    /// For a fresh one, if it has another.
    pub(super) soft: Limit,
}

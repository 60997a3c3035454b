//! Work for the processor while a server is waited for.

use std::future::{Future, poll_fn};
use std::pin::pin;

/// Awaits `waiting` and does `work` once: as soon as there is nothing to do but to wait, or afterwards.
pub(super) async fn alongside<W: Future>(waiting: W, work: impl FnOnce()) -> W::Output {
    let mut waiting = pin!(waiting);
    let mut work = Some(work);
    poll_fn(|context| {
        let mut outcome = waiting.as_mut().poll(context);
        if let Some(work) = work.take() {
            work();
            if outcome.is_pending() {
                // The answer may have come meanwhile.
                outcome = waiting.as_mut().poll(context);
            }
        }
        outcome
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn work_is_done_once_whether_there_is_time_for_it_or_not() {
        let done = Cell::new(0);
        let work = || done.set(done.get() + 1);
        alongside(async { assert_eq!(done.get(), 0) }, work).await;
        assert_eq!(done.get(), 1);
        let waiting = async {
            tokio::task::yield_now().await;
            assert_eq!(done.get(), 2);
            tokio::task::yield_now().await;
        };
        alongside(waiting, work).await;
        assert_eq!(done.get(), 2);
    }
}

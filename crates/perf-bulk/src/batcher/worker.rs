//! Who gathers the batches of a key and sees them through.

use super::flight::Flight;
use super::queue::Due;
use super::shared::Shared;
use std::error::Error;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A worker of one key. It ends when the key has nothing left; dropped earlier, with its runtime, it
/// answers those who would wait for it forever.
struct Worker<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    shared: Arc<Shared<I, O, E, K>>,
    key: K,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Gathering,
    InFlight,
    Done,
}

/// Starts a worker for `key`, which the queue counts already.
pub(super) fn start<I, O, E, K>(shared: &Arc<Shared<I, O, E, K>>, key: K)
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    let worker = Worker {
        shared: Arc::clone(shared),
        key,
        stage: Stage::Gathering,
    };
    // Without a runtime the worker is dropped here, and says so to its items.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(worker.run());
    }
}

impl<I, O, E, K> Worker<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    async fn run(mut self) {
        loop {
            self.gather().await;
            let permit = self.shared.flights.acquire().await;
            let batch = self.shared.take(&self.key);
            self.stage = Stage::InFlight;
            Flight::new(&self.shared, batch).run().await;
            drop(permit);
            if !self.shared.queue.lock().finished(&self.key) {
                break;
            }
            self.stage = Stage::Gathering;
        }
        self.stage = Stage::Done;
        if self.shared.queue.lock().is_idle() {
            self.shared.idle.notify_waiters();
        }
    }

    /// Waits until the batch is due. It grows until it is taken.
    async fn gather(&self) {
        loop {
            let mut told = pin!(self.shared.told.notified());
            // Enrol before the look: a word between the two must not be missed.
            told.as_mut().enable();
            let due = {
                let queue = self.shared.queue.lock();
                queue.due(&self.key, self.shared.clock.now())
            };
            match due {
                Due::Now => return,
                Due::WhenFull => told.await,
                Due::At(moment) => {
                    tokio::select! {
                        () = told => {}
                        () = self.shared.clock.sleep_until(moment) => {}
                    }
                }
            }
        }
    }
}

impl<I, O, E, K> Drop for Worker<I, O, E, K>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if self.stage != Stage::Done {
            let gathering = self.stage == Stage::Gathering;
            self.shared.desert(&self.key, gathering);
        }
    }
}

//! Near tiers that hear of each other's invalidations, and know when they may not have.
//!
//! Publish and subscribe loses messages: a listener that reconnects, or reads too slowly, or sits behind a
//! broken connection is told nothing of what it missed. So nobody here relies on a message to arrive:
//!
//! - Each process numbers what it sends, and sends a *heartbeat* when it has nothing to say. A number that
//!   is skipped, or a process that falls silent (one's own echo included), means that something was lost.
//! - Each process takes one of 128 seats in the far tier and looks, once a heartbeat, who sits in the others,
//!   so it misses even those of whom it has never heard.
//! - Then every near entry is *in doubt*: none is served as current before the far tier has confirmed it.
//!   A task asks in batches which writing of each key stands there, by seal and without the values,
//!   and takes those out of doubt that are the same. A reader who is quicker reads the value itself.
//! - For as long as something is amiss this repeats, so what another process invalidates is served
//!   here no longer than the window that silence may take, plus a third of it.
//!
//! Emptying the near tier instead would send every key of every process to the database at the moment
//! when the network is already in trouble. Entries in doubt remain for callers that take a stale value
//! rather than an error.
//!
//! # What a sender owes
//!
//! An invalidation that could not be told to the far tier, or to others, waits in the *outbox*: a set, so
//! that repeated ones are one, and bounded, because a full one becomes a single `clear`. While the far tier
//! is owed one, this process reads nothing from it, so that it cannot bring back what was invalidated.
//!
//! # What it assumes
//!
//! Loss is not selective for ever: a process that others hear nothing of, while they miss nothing else for
//! ten windows, is taken to have ended. Without a far tier, that holds for one that was never heard, too.

mod config;
mod listen;
mod message;
mod outbox;
mod peers;
mod send;

pub use config::Coherence;
pub(crate) use listen::{listen, revalidate};
pub(crate) use message::Subject;
pub(crate) use outbox::Outbox;
pub(crate) use send::send;

use crate::time::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// What the tasks of one cache's coherence share.
pub(crate) struct Coherent<K> {
    config: Coherence<K>,
    channel: String,
    /// This process, among the cache's publishers.
    publisher: u64,
    time: Time,
    pub(crate) outbox: Outbox<K>,
    /// Told when entries fell in doubt.
    doubted: Notify,
    /// Whether something is amiss: others may not be heard.
    troubled: AtomicBool,
    /// Whether the sender has said farewell.
    farewell: watch::Sender<bool>,
    pub(crate) doubts: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

/// How long an invalidation waits for its message to be sent before it is `Queued`.
const SENT_WITHIN: Duration = Duration::from_millis(250);

impl<K> Coherent<K> {
    pub(crate) fn new(
        config: Coherence<K>,
        name: &str,
        time: Time,
        debts: Arc<AtomicBool>,
    ) -> Self {
        Self {
            outbox: Outbox::new(config.max_queued, debts),
            config,
            channel: format!("{name}:b"),
            publisher: fastrand::u64(..),
            time,
            doubted: Notify::new(),
            troubled: AtomicBool::new(true),
            farewell: watch::Sender::new(false),
            doubts: AtomicU64::new(0),
            confirmed: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }
    }

    /// How often a process that has nothing to say says so, and a listener looks at the time.
    fn beat(&self) -> Duration {
        self.config.window / 3
    }

    /// Whether what others invalidate may not be heard at the moment.
    pub(crate) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// Waits until what was put into the outbox up to `ticket` has been sent, but not for long.
    pub(crate) async fn is_sent(&self, ticket: u64) -> bool {
        tokio::select! {
            biased;
            () = self.outbox.sent(ticket) => true,
            () = self.time.sleep(SENT_WITHIN) => false,
        }
    }

    /// Sends what waits and says farewell, no longer than the window.
    pub(crate) async fn close(&self) {
        self.outbox.close();
        let mut farewell = self.farewell.subscribe();
        tokio::select! {
            // The sender lives as long as `self`, so the wait ends without an error.
            said = farewell.wait_for(|said| *said) => drop(said),
            () = self.time.sleep(self.config.window) => {}
        }
    }
}

/// Tasks that end with this value.
#[derive(Debug, Default)]
pub(crate) struct Crew(Vec<AbortHandle>);

impl Crew {
    pub(crate) fn hire(
        &mut self,
        runtime: &Handle,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.0.push(runtime.spawn(task).abort_handle());
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

use super::message::Message;
use super::outbox::Parcel;
use super::{Coherent, Subject};
use crate::bounds::{Key, Value};
use crate::shared::Shared;
use crate::store::LocalStore;
use perf_core::Backoff;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Subjects in one message.
const TOLD_AT_ONCE: usize = 512;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Tells others what waits in the outbox, in order, until the cache is closed.
pub(crate) async fn send<K: Key, V: Value, S: LocalStore<K, V>>(
    coherent: Arc<Coherent<K>>,
    shared: Weak<Shared<K, V, S>>,
) {
    // Of the next message.
    let mut number = 1;
    loop {
        let parcel = tokio::select! {
            biased;
            parcel = coherent.outbox.take() => parcel,
            () = coherent.time.sleep(coherent.beat()) => {
                // One that fails is not sent again: the next has its number, and silence is noticed.
                let sent = coherent.publish(&coherent.message(number, &[])).await;
                number += u64::from(sent);
                continue;
            }
        };
        pay(&coherent, &shared, &parcel).await;
        for subjects in parcel.subjects.chunks(TOLD_AT_ONCE) {
            let message = coherent.message(number, subjects);
            let mut pauses = pauses();
            while !coherent.publish(&message).await {
                coherent
                    .time
                    .sleep(pauses.next().unwrap_or(LAST_PAUSE))
                    .await;
            }
            number += 1;
        }
        coherent.outbox.done(&parcel);
        if parcel.is_last {
            let message = Message {
                is_farewell: true,
                ..coherent.message(number, &[])
            };
            coherent.publish(&message).await;
            coherent.farewell.send_replace(true);
            return;
        }
    }
}

/// Invalidates in the far tier what it is owed, however long it takes.
async fn pay<K: Key, V: Value, S: LocalStore<K, V>>(
    coherent: &Coherent<K>,
    shared: &Weak<Shared<K, V, S>>,
    parcel: &Parcel<K>,
) {
    if parcel.debts.is_empty() {
        return;
    }
    let mut pauses = pauses();
    while let Some(shared) = shared.upgrade() {
        if shared.settle_debts(&parcel.debts).await.is_ok() {
            coherent.outbox.paid();
            return;
        }
        drop(shared);
        coherent
            .time
            .sleep(pauses.next().unwrap_or(LAST_PAUSE))
            .await;
    }
}

fn pauses() -> impl Iterator<Item = Duration> + Send {
    let backoff = Backoff::exponential(FIRST_PAUSE).with_cap(LAST_PAUSE);
    backoff.delays(fastrand::Rng::new())
}

impl<K> Coherent<K> {
    fn message(&self, number: u64, subjects: &[Subject<K>]) -> Message {
        let subjects = subjects.iter().map(|subject| self.config.told(subject));
        Message {
            publisher: self.publisher,
            number,
            is_farewell: false,
            subjects: subjects.collect(),
        }
    }

    /// Whether the message was sent, within a window.
    async fn publish(&self, message: &Message) -> bool {
        let bytes = message.encode();
        tokio::select! {
            biased;
            sent = self.config.plane.publish(&self.channel, &bytes) => sent.is_ok(),
            () = self.time.sleep(self.config.window) => false,
        }
    }
}

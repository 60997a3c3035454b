use super::message::Message;
use super::peers::{Peers, Sign, Verdict};
use super::{Coherent, Subject};
use crate::backplane::Subscription;
use crate::bounds::{Key, Value};
use crate::shared::Shared;
use crate::store::LocalStore;
use perf_core::Moment;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Keys that are confirmed in one request.
const CONFIRMED_AT_ONCE: usize = 256;

/// Hears what others tell, and puts entries in doubt where something may be lost.
pub(crate) async fn listen<K: Key, V: Value, S: LocalStore<K, V>>(
    coherent: Arc<Coherent<K>>,
    shared: Weak<Shared<K, V, S>>,
) {
    let mut listener = Listener {
        peers: Peers::new(coherent.config.window, coherent.publisher),
        coherent,
        shared,
        counted: Moment::ORIGIN,
    };
    loop {
        if let Some(mut subscription) = listener.subscribe().await {
            while listener.step(&mut *subscription).await {}
        }
        let now = listener.coherent.time.now();
        let verdict = listener.peers.end(now);
        listener.follow(verdict).await;
    }
}

struct Listener<K: Key, V: Value, S: LocalStore<K, V>> {
    coherent: Arc<Coherent<K>>,
    shared: Weak<Shared<K, V, S>>,
    peers: Peers,
    /// When it was last looked who else is there.
    counted: Moment,
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Listener<K, V, S> {
    /// Tries to listen for a beat, and waits for its end where that fails.
    async fn subscribe(&mut self) -> Option<Box<dyn Subscription>> {
        let coherent = Arc::clone(&self.coherent);
        let mut beat = coherent.time.sleep(coherent.beat());
        let subscribed = tokio::select! {
            biased;
            subscribed = coherent.config.plane.subscribe(&coherent.channel) => subscribed,
            () = &mut beat => return None,
        };
        let Ok(subscription) = subscribed else {
            beat.await;
            return None;
        };
        let verdict = self.peers.begin(coherent.time.now());
        self.follow(verdict).await;
        Some(subscription)
    }

    /// Takes the next message or looks at the time; `false` if the connection is lost.
    async fn step(&mut self, subscription: &mut dyn Subscription) -> bool {
        let coherent = Arc::clone(&self.coherent);
        let heard = tokio::select! {
            biased;
            () = coherent.time.sleep(coherent.beat()) => None,
            message = subscription.next() => match message {
                Some(bytes) => Some(bytes),
                None => return false,
            },
        };
        if let Some(bytes) = heard {
            let verdict = self.hear(&bytes);
            self.follow(verdict).await;
        }
        // Also where messages come without end: somebody else may have fallen silent.
        let now = coherent.time.now();
        let verdict = self.peers.check(now);
        self.follow(verdict).await;
        if now.since(self.counted) >= coherent.beat() {
            self.counted = now;
            self.count_peers().await;
        }
        !self.peers.is_deaf(now)
    }

    /// Looks in the far tier who else is there, and takes a seat there itself. Without this, nobody would
    /// miss a publisher of whom nothing has ever been heard.
    async fn count_peers(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let Some(far) = shared.far.as_ref().filter(|far| !far.is_cooling()) else {
            return;
        };
        let Ok(seats) = far.seats().await else {
            return;
        };
        let taken: Vec<u64> = seats.iter().flatten().copied().collect();
        let verdict = self.peers.expect(&taken, self.coherent.time.now());
        self.follow(verdict).await;
        let own = self.coherent.publisher;
        let is_free = |seat: &Option<u64>| seat.is_none_or(|taken| self.peers.has_ended(taken));
        let free = seats.iter().enumerate().filter(|(_, seat)| is_free(seat));
        let free: Vec<usize> = free.map(|(number, _)| number).collect();
        // Two that take one seat at once look again at the next beat; where all are taken, one that was
        // lost in that way is as likely to be this as any.
        if !taken.contains(&own) {
            let any = fastrand::usize(0..seats.len());
            let seat = fastrand::choice(free).unwrap_or(any);
            // If that fails, too, it is tried again at the next beat.
            drop(far.take_seat(seat, own).await);
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Verdict {
        let now = self.coherent.time.now();
        let Some(message) = Message::decode(bytes) else {
            self.coherent.unreadable.fetch_add(1, Ordering::Relaxed);
            return self.peers.lose(now);
        };
        let sign = Sign {
            publisher: message.publisher,
            number: message.number,
            is_farewell: message.is_farewell,
        };
        let verdict = self.peers.hear(sign, now);
        if message.publisher != self.coherent.publisher
            && let Some(shared) = self.shared.upgrade()
        {
            for told in message.subjects {
                shared.hear(&self.coherent.config.heard(told));
            }
        }
        verdict
    }

    async fn follow(&self, verdict: Verdict) {
        let is_troubled = self.peers.is_troubled();
        self.coherent.troubled.store(is_troubled, Ordering::Relaxed);
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        match verdict {
            Verdict::Fine => {}
            Verdict::Lost => shared.doubt(),
            // Where the far tier is out of reach too, nobody's invalidation is acknowledged, and doubt
            // would send every reader to the source for as long as that lasts.
            Verdict::StillLost => match &shared.far {
                Some(far) if !far.answers().await => {}
                _ => shared.doubt(),
            },
        }
    }
}

/// Takes entries out of doubt whenever some have fallen into it.
pub(crate) async fn revalidate<K: Key, V: Value, S: LocalStore<K, V>>(
    coherent: Arc<Coherent<K>>,
    shared: Weak<Shared<K, V, S>>,
) {
    loop {
        coherent.doubted.notified().await;
        if let Some(shared) = shared.upgrade() {
            let confirmed = confirm(&shared).await;
            coherent.confirmed.fetch_add(confirmed, Ordering::Relaxed);
        }
    }
}

/// Asks the far tier about all entries in doubt; ends early where it does not answer.
async fn confirm<K: Key, V: Value, S: LocalStore<K, V>>(shared: &Shared<K, V, S>) -> u64 {
    let mut confirmed = 0;
    let Some(far) = &shared.far else {
        return confirmed;
    };
    for keys in shared.near.doubted_keys().chunks(CONFIRMED_AT_ONCE) {
        let named = keys.iter().flat_map(|key| Some((key, far.key(key).ok()?)));
        let (keys, names): (Vec<&K>, Vec<String>) = named.unzip();
        // What is confirmed stood after this stamp.
        let stamp = shared.near.stamp();
        let Ok(standing) = far.standing(&names).await else {
            break;
        };
        for (key, version) in keys.into_iter().zip(standing) {
            let confirming = version.and_then(|version| shared.near.confirm(key, version, stamp));
            if let Some(displaced) = confirming {
                shared.count_displaced(&displaced);
                confirmed += 1;
            }
        }
    }
    confirmed
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Shared<K, V, S> {
    /// Does near what another process has told.
    fn hear(&self, subject: &Subject<K>) {
        match subject {
            Subject::Key(key) => drop(self.near.remove(key)),
            Subject::Tag(tag) => self.near.move_slot(self.slotting.slot(tag)),
            Subject::Some => self.doubt(),
            Subject::All => self.near.clear(),
        }
    }

    /// Puts every near entry in doubt.
    fn doubt(&self) {
        self.near.doubt();
        if let Some(coherent) = &self.coherent {
            coherent.doubts.fetch_add(1, Ordering::Relaxed);
            coherent.doubted.notify_one();
        }
    }
}

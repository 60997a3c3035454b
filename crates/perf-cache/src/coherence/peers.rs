//! Who is heard, and whether everything is: a policy without a clock.

use perf_core::Moment;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How many windows of silence, in which nothing else is lost, end a publisher.
const WINDOWS_OF_THE_DEAD: u32 = 10;

/// The publishers that a listener knows, itself among them.
#[derive(Debug)]
pub(super) struct Peers {
    window: Duration,
    own: u64,
    known: HashMap<u64, Peer>,
    /// Publishers that have ended, while something still says that they are there.
    ended: HashSet<u64>,
    is_listening: bool,
    is_troubled: bool,
    /// When something was last known to be lost.
    lost: Moment,
    /// When everything was last put in doubt.
    doubted: Moment,
}

#[derive(Debug)]
struct Peer {
    /// The number of its last message, if one was heard.
    number: Option<u64>,
    heard: Moment,
}

/// What is heard of a publisher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign {
    pub(super) publisher: u64,
    pub(super) number: u64,
    pub(super) is_farewell: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing was lost.
    Fine,
    /// Something was lost just now: put everything in doubt.
    Lost,
    /// Something may be lost all the time: put everything in doubt again, unless the far tier is out of
    /// reach as well.
    StillLost,
}

impl Peers {
    pub(super) fn new(window: Duration, own: u64) -> Self {
        Self {
            window,
            own,
            known: HashMap::new(),
            ended: HashSet::new(),
            is_listening: false,
            is_troubled: true,
            lost: Moment::ORIGIN,
            doubted: Moment::ORIGIN,
        }
    }

    /// Listening has begun: whatever came before was not heard.
    pub(super) fn begin(&mut self, now: Moment) -> Verdict {
        self.is_listening = true;
        self.meet(self.own, now);
        for peer in self.known.values_mut() {
            peer.heard = now;
        }
        self.is_troubled = false;
        self.lose(now)
    }

    /// Listening has ended.
    pub(super) fn end(&mut self, now: Moment) -> Verdict {
        self.is_listening = false;
        self.check(now)
    }

    /// These are said to be there. Of one that is not known, something may have been missed.
    pub(super) fn expect(&mut self, publishers: &[u64], now: Moment) -> Verdict {
        self.ended.retain(|ended| publishers.contains(ended));
        let is_new = |id: &&u64| !self.known.contains_key(id) && !self.ended.contains(id);
        let new: Vec<u64> = publishers.iter().filter(is_new).copied().collect();
        for publisher in &new {
            self.meet(*publisher, now);
        }
        match new.is_empty() {
            true => Verdict::Fine,
            false => self.lose(now),
        }
    }

    fn meet(&mut self, publisher: u64, now: Moment) {
        let met = Peer {
            number: None,
            heard: now,
        };
        self.known.entry(publisher).or_insert(met);
    }

    pub(super) fn hear(&mut self, sign: Sign, now: Moment) -> Verdict {
        // One that was never met has said nothing before its first message, or that was missed.
        let last = self
            .known
            .get(&sign.publisher)
            .map_or(Some(0), |peer| peer.number);
        let is_gap = last.is_some_and(|last| sign.number > last + 1);
        if sign.is_farewell {
            self.known.remove(&sign.publisher);
            self.ended.insert(sign.publisher);
        } else {
            self.ended.remove(&sign.publisher);
            let peer = Peer {
                number: Some(sign.number.max(last.unwrap_or(0))),
                heard: now,
            };
            self.known.insert(sign.publisher, peer);
        }
        match is_gap {
            true => self.lose(now),
            false => Verdict::Fine,
        }
    }

    /// Something is known to be lost.
    pub(super) fn lose(&mut self, now: Moment) -> Verdict {
        (self.lost, self.doubted) = (now, now);
        Verdict::Lost
    }

    /// Looks who is silent.
    pub(super) fn check(&mut self, now: Moment) -> Verdict {
        self.bury(now);
        let is_silent = |peer: &Peer| now.since(peer.heard) >= self.window;
        let was_troubled = self.is_troubled;
        self.is_troubled = !self.is_listening || self.known.values().any(is_silent);
        if self.known.get(&self.own).is_none_or(is_silent) {
            self.lost = now;
        }
        if !self.is_troubled {
            return Verdict::Fine;
        }
        if !was_troubled {
            self.doubted = now;
            return Verdict::Lost;
        }
        if now.since(self.doubted) < self.window {
            return Verdict::Fine;
        }
        self.doubted = now;
        Verdict::StillLost
    }

    /// Gives up publishers that have ended without farewell.
    fn bury(&mut self, now: Moment) {
        let long = self.window.saturating_mul(WINDOWS_OF_THE_DEAD);
        if !self.is_listening || now.since(self.lost) < long {
            return;
        }
        let (own, ended) = (self.own, &mut self.ended);
        self.known.retain(|id, peer| {
            let lives = *id == own || now.since(peer.heard) < long;
            if !lives {
                ended.insert(*id);
            }
            lives
        });
    }

    pub(super) fn has_ended(&self, publisher: u64) -> bool {
        self.ended.contains(&publisher)
    }

    pub(super) const fn is_troubled(&self) -> bool {
        self.is_troubled
    }

    /// Whether one's own messages do not come back for so long that the connection is dead.
    pub(super) fn is_deaf(&self, now: Moment) -> bool {
        let own = self.known.get(&self.own);
        own.is_some_and(|own| now.since(own.heard) >= self.window.saturating_mul(2))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Verdict::{Fine, Lost, StillLost};
    use super::*;

    const OWN: u64 = 1;
    const OTHER: u64 = 2;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    fn peers() -> Peers {
        let mut peers = Peers::new(Duration::from_secs(3), OWN);
        assert_eq!(peers.begin(at(100)), Lost);
        peers
    }

    fn sign(publisher: u64, number: u64) -> Sign {
        Sign {
            publisher,
            number,
            is_farewell: false,
        }
    }

    #[test]
    fn a_gap_is_found_by_the_next_message() {
        let mut peers = peers();
        assert_eq!(peers.hear(sign(OTHER, 1), at(100)), Fine);
        assert_eq!(peers.hear(sign(OTHER, 2), at(100)), Fine);
        assert_eq!(peers.hear(sign(OTHER, 2), at(100)), Fine, "sent again");
        assert_eq!(peers.hear(sign(OTHER, 4), at(100)), Lost, "3 is missing");
        assert_eq!(peers.hear(sign(OTHER, 5), at(100)), Fine);
        assert_eq!(peers.hear(sign(3, 7), at(100)), Lost, "who is that");
        assert_eq!(peers.hear(sign(4, 1), at(100)), Fine, "a new one");
    }

    #[test]
    fn who_is_said_to_be_there_is_doubted_once_and_then_watched() {
        let mut peers = peers();
        assert_eq!(peers.expect(&[OWN, OTHER], at(100)), Lost);
        assert_eq!(peers.expect(&[OWN, OTHER], at(101)), Fine);
        peers.hear(sign(OWN, 9), at(102));
        assert_eq!(peers.check(at(103)), Lost, "the other is silent");
        assert_eq!(peers.hear(sign(OTHER, 7), at(103)), Fine, "it was expected");
        assert_eq!(peers.hear(sign(OTHER, 9), at(103)), Lost, "8 is missing");
    }

    #[test]
    fn silence_is_trouble_until_it_ends_or_its_cause_is_given_up() {
        let mut peers = peers();
        peers.hear(sign(OTHER, 1), at(100));
        for second in 101..140 {
            peers.hear(sign(OWN, second - 100), at(second));
            let expected = match second {
                103 => Lost,
                // The tenth window without any other loss ends at 130.
                104..130 if second % 3 == 1 => StillLost,
                _ => Fine,
            };
            assert_eq!(peers.check(at(second)), expected, "second {second}");
            assert_eq!(peers.is_troubled(), (103..130).contains(&second));
        }
        assert!(peers.has_ended(OTHER));
        assert_eq!(
            peers.expect(&[OTHER], at(139)),
            Fine,
            "it is still said to be there"
        );
        assert_eq!(
            peers.hear(sign(OTHER, 3), at(140)),
            Lost,
            "it had not ended"
        );
        assert!(!peers.has_ended(OTHER));
    }

    #[test]
    fn nobody_is_given_up_while_anything_else_is_lost() {
        let mut peers = peers();
        peers.hear(sign(OTHER, 1), at(100));
        for second in 101..300 {
            // One's own echo comes, with a gap now and then.
            peers.hear(sign(OWN, second + second / 20), at(second));
            peers.check(at(second));
            assert_eq!(peers.is_troubled(), second >= 103, "second {second}");
        }
    }

    #[test]
    fn a_farewell_ends_a_publisher_at_once() {
        let mut peers = peers();
        peers.hear(sign(OTHER, 1), at(100));
        let farewell = Sign {
            is_farewell: true,
            ..sign(OTHER, 2)
        };
        assert_eq!(peers.hear(farewell, at(101)), Fine);
        assert_eq!(peers.expect(&[OTHER], at(102)), Fine);
        peers.hear(sign(OWN, 1), at(110));
        assert_eq!(peers.check(at(110)), Fine);
    }

    #[test]
    fn without_a_connection_doubt_is_renewed_every_window() {
        let mut peers = peers();
        assert_eq!(peers.end(at(101)), Lost);
        assert_eq!(peers.check(at(102)), Fine);
        assert_eq!(peers.check(at(104)), StillLost);
        assert_eq!(peers.begin(at(105)), Lost);
        assert_eq!(peers.check(at(106)), Fine);
        assert!(!peers.is_troubled());
    }

    #[test]
    fn a_silent_echo_means_a_dead_connection() {
        let peers = peers();
        assert!(!peers.is_deaf(at(105)));
        assert!(peers.is_deaf(at(106)));
    }
}

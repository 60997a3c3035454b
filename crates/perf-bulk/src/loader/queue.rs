//! Which keys leave together, and when.

use perf_core::Moment;
use std::collections::HashMap;
use std::hash::Hash;

/// Keys that wait to be asked for, each with whatever stands for its callers.
#[derive(Debug)]
pub(super) struct Queue<K, T> {
    max_batch: usize,
    waiting: Vec<(K, T)>,
    positions: HashMap<K, usize>,
    /// Counts loads, those of keys that wait already included.
    arrivals: u64,
    /// Counts leaders, so that a late release is told from one that is due.
    generation: u64,
    /// Whether a leader has yet to release what waits.
    led: bool,
    in_flight: usize,
}

/// Keys that leave together.
pub(super) type Batch<K, T> = Vec<(K, T)>;

/// What a leader keeps from one of its turns to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    generation: u64,
    /// How many loads had arrived at its last turn.
    arrivals: u64,
    /// When it releases even though more arrive.
    until: Moment,
}

/// What joining the queue came to.
#[derive(Debug)]
pub(super) struct Joined<T> {
    /// What stands for the key's callers: the caller's own, or that of the key's first caller.
    pub(super) entry: T,
    /// Set when the caller leads, and must release.
    pub(super) leads: Option<Lead>,
}

impl<K: Clone + Eq + Hash, T: Clone> Queue<K, T> {
    pub(super) fn new(max_batch: usize) -> Self {
        Self {
            max_batch,
            waiting: Vec::new(),
            positions: HashMap::new(),
            arrivals: 0,
            generation: 0,
            led: false,
            in_flight: 0,
        }
    }

    /// Adds a key, unless it waits already. The first one since the last release leads, at the longest until
    /// the time that `until` gives.
    pub(super) fn join(
        &mut self,
        key: K,
        entry: impl FnOnce() -> T,
        until: impl FnOnce() -> Moment,
    ) -> Joined<T> {
        self.arrivals += 1;
        if let Some(position) = self.positions.get(&key) {
            return Joined {
                entry: self.waiting[*position].1.clone(),
                leads: None,
            };
        }
        let entry = entry();
        self.positions.insert(key.clone(), self.waiting.len());
        self.waiting.push((key, entry.clone()));
        let leads = !self.led;
        self.led = true;
        self.generation += u64::from(leads);
        Joined {
            entry,
            leads: leads.then(|| Lead {
                generation: self.generation,
                arrivals: self.arrivals,
                until: until(),
            }),
        }
    }

    /// Whether a leader goes on leading at its turn: loads have arrived since the last one, so more may be on
    /// their way.
    pub(super) fn goes_on(&self, lead: &mut Lead, now: Moment) -> bool {
        let grows = self.arrivals > lead.arrivals;
        lead.arrivals = self.arrivals;
        self.led && lead.generation == self.generation && grows && now < lead.until
    }

    /// Releases what joined under a leader; the batches that are due.
    pub(super) fn release(&mut self, lead: Lead) -> Vec<Batch<K, T>> {
        self.release_generation(lead.generation)
    }

    /// As `release`, in the leader's place.
    pub(super) fn release_generation(&mut self, generation: u64) -> Vec<Batch<K, T>> {
        if generation == self.generation {
            self.led = false;
        }
        self.take_due()
    }

    /// Notes the end of a batch; those that are due now.
    pub(super) fn finished(&mut self) -> Vec<Batch<K, T>> {
        self.in_flight -= 1;
        self.take_due()
    }

    /// The generation and number of the keys that wait for their leader.
    pub(super) fn unreleased(&self) -> Option<(u64, usize)> {
        self.led.then_some((self.generation, self.waiting.len()))
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Full batches whatever is in flight, and what remains if nothing is.
    fn take_due(&mut self) -> Vec<Batch<K, T>> {
        let mut due = Vec::new();
        while !self.led && self.is_due() {
            let rest = self
                .waiting
                .split_off(self.max_batch.min(self.waiting.len()));
            let batch = std::mem::replace(&mut self.waiting, rest);
            self.in_flight += 1;
            due.push(batch);
        }
        if !due.is_empty() {
            let rest = self.waiting.iter().enumerate();
            self.positions = rest
                .map(|(position, (key, _))| (key.clone(), position))
                .collect();
        }
        due
    }

    const fn is_due(&self) -> bool {
        let waiting = self.waiting.len();
        waiting >= self.max_batch || (waiting > 0 && self.in_flight == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[derive(Clone, Debug)]
    enum Step {
        Join(u8),
        ReleaseOldest,
        Finish,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        vec(
            prop_oneof![
                4 => (0_u8..20).prop_map(Step::Join),
                1 => Just(Step::ReleaseOldest),
                1 => Just(Step::Finish),
            ],
            0..120,
        )
    }

    proptest! {
        /// Whatever the order of events: no batch above the maximum, none empty, no key twice in one, no
        /// partial batch while another is in flight, and every key that joined leaves in the end.
        #[test]
        fn batches_keep_their_promises(steps in steps(), max in 1_usize..6) {
            let mut queue = Queue::new(max);
            let (mut leaders, mut flying) = (Vec::new(), 0);
            let (mut joined, mut left) = (Vec::new(), Vec::new());
            let leave = |batches: Vec<Batch<u8, usize>>, flying: &mut usize, left: &mut Vec<usize>| {
                for batch in batches {
                    assert!(!batch.is_empty() && batch.len() <= max);
                    assert!(batch.len() == max || *flying == 0);
                    let keys: HashSet<_> = batch.iter().map(|(key, _)| *key).collect();
                    assert_eq!(keys.len(), batch.len());
                    left.extend(batch.iter().map(|(_, entry)| *entry));
                    *flying += 1;
                }
            };
            for step in steps {
                match step {
                    Step::Join(key) => {
                        let fresh = joined.len();
                        let outcome = queue.join(key, || fresh, || Moment::NEVER);
                        if outcome.entry == fresh {
                            joined.push(fresh);
                        }
                        leaders.extend(outcome.leads);
                    }
                    Step::ReleaseOldest if !leaders.is_empty() => {
                        leave(queue.release(leaders.remove(0)), &mut flying, &mut left);
                    }
                    Step::Finish if flying > 0 => {
                        flying -= 1;
                        leave(queue.finished(), &mut flying, &mut left);
                    }
                    Step::ReleaseOldest | Step::Finish => {}
                }
            }
            for lead in leaders {
                leave(queue.release(lead), &mut flying, &mut left);
            }
            while flying > 0 {
                flying -= 1;
                leave(queue.finished(), &mut flying, &mut left);
            }
            prop_assert_eq!(left, joined);
            prop_assert_eq!((queue.len(), queue.in_flight(), queue.unreleased()), (0, 0, None));
        }
    }

    #[test]
    fn a_late_release_does_not_touch_the_next_batch() {
        let mut queue = Queue::new(2);
        let first = queue.join("a", || (), || Moment::NEVER).leads.unwrap();
        assert_eq!(queue.release(first).len(), 1);
        assert!(queue.finished().is_empty());
        let second = queue.join("b", || (), || Moment::NEVER).leads.unwrap();
        assert!(queue.release(first).is_empty());
        assert_eq!(queue.unreleased(), Some((second.generation, 1)));
    }

    #[test]
    fn keys_wait_for_the_release_however_many_they_are() {
        let mut queue = Queue::new(2);
        let leader = queue.join(0, || 0, || Moment::NEVER).leads.unwrap();
        for key in 0..5 {
            assert_eq!(queue.join(key, || key, || Moment::NEVER).leads, None);
        }
        let batches = queue.release(leader);
        assert_eq!(batches, [[(0, 0), (1, 1)], [(2, 2), (3, 3)]]);
        assert_eq!(
            (queue.finished(), queue.finished()),
            (vec![], vec![vec![(4, 4)]])
        );
    }

    #[test]
    fn a_leader_leads_while_loads_arrive_and_its_time_lasts() {
        let at = Moment::from_nanos;
        let mut queue = Queue::new(9);
        let mut lead = queue.join("a", || (), || at(100)).leads.unwrap();
        assert!(!queue.goes_on(&mut lead, at(1)), "nobody came");
        queue.join("a", || (), || at(0));
        assert!(queue.goes_on(&mut lead, at(2)), "another load of its key");
        assert!(!queue.goes_on(&mut lead, at(3)));
        queue.join("b", || (), || at(0));
        assert!(!queue.goes_on(&mut lead, at(100)), "its time is over");
        assert_eq!(queue.release(lead), [[("a", ()), ("b", ())]]);
        queue.join("c", || (), || at(200));
        assert!(!queue.goes_on(&mut lead, at(4)), "another one leads");
    }
}

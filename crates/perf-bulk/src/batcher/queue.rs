//! Which items wait, which leave together, and when.

use perf_core::Moment;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// What bounds batches and the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most items of a batch.
    pub(super) items: usize,
    /// The most bytes of a batch, unless one item alone has more.
    pub(super) bytes: usize,
    /// How long a batch that is not full waits for more; `None` until it is full.
    pub(super) linger: Option<Duration>,
    /// How many batches of one key may be in flight.
    pub(super) per_key: usize,
    /// How many items may wait in the queue.
    pub(super) capacity: usize,
}

/// Items that wait, by key, and those in line for room.
///
/// A key is worked on by workers. One that has yet to take its batch **gathers**; a key has at most one
/// of those, which is told when its batch is due.
#[derive(Debug)]
pub(super) struct Queue<K, T> {
    limits: Limits,
    keys: HashMap<K, Waiting<T>>,
    queued: usize,
    line: BTreeMap<u64, (K, Item<T>)>,
    next_in_line: u64,
    workers: usize,
    closed: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<Item<T>>,
    bytes: usize,
    gathers: bool,
    in_flight: usize,
}

/// An item with what it weighs.
#[derive(Debug)]
pub(super) struct Item<T> {
    pub(super) item: T,
    pub(super) bytes: usize,
    pub(super) since: Moment,
}

/// What has to be done for a key after its queue has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urge {
    /// Start a worker, which gathers.
    Start,
    /// Tell the one that gathers: its batch is due.
    Tell,
    /// Nothing.
    Rest,
}

/// When a batch leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(Moment),
    WhenFull,
}

impl<K: Clone + Eq + Hash, T> Queue<K, T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            keys: HashMap::new(),
            queued: 0,
            line: BTreeMap::new(),
            next_in_line: 0,
            workers: 0,
            closed: false,
        }
    }

    /// Whether an item may enter now without overtaking one in line.
    pub(super) fn has_room(&self) -> bool {
        self.queued < self.limits.capacity && self.line.is_empty()
    }

    /// Adds an item, for which there must be room.
    pub(super) fn push(&mut self, key: K, item: Item<T>) -> Urge {
        self.queued += 1;
        let waiting = self.keys.entry(key).or_insert_with(Waiting::new);
        waiting.bytes += item.bytes;
        waiting.items.push_back(item);
        if !waiting.gathers && waiting.in_flight < self.limits.per_key {
            waiting.gathers = true;
            self.workers += 1;
            Urge::Start
        } else if waiting.gathers
            && (waiting.is_full(&self.limits) || self.queued >= self.limits.capacity)
        {
            Urge::Tell
        } else {
            Urge::Rest
        }
    }

    /// Puts an item in line; its place.
    pub(super) fn line_up(&mut self, key: K, item: Item<T>) -> u64 {
        self.next_in_line += 1;
        self.line.insert(self.next_in_line, (key, item));
        self.next_in_line
    }

    /// Takes an item back, if it is still in line.
    pub(super) fn leave_line(&mut self, place: u64) -> Option<T> {
        self.line.remove(&place).map(|(_, item)| item.item)
    }

    /// The items in line, in order, for which there is room now. None once the queue is closed.
    pub(super) fn admit(&mut self) -> Option<(K, Item<T>)> {
        if self.closed || self.queued >= self.limits.capacity {
            return None;
        }
        self.line.pop_first().map(|(_, admitted)| admitted)
    }

    /// When the batch leaves that is gathered for `key`.
    pub(super) fn due(&self, key: &K, now: Moment) -> Due {
        let Some(waiting) = self.keys.get(key) else {
            return Due::Now;
        };
        let Some(first) = waiting.items.front() else {
            return Due::Now;
        };
        // A full queue lets nobody in who could fill a batch.
        let is_stuck = self.closed || self.queued >= self.limits.capacity;
        if is_stuck || waiting.is_full(&self.limits) {
            return Due::Now;
        }
        match self.limits.linger {
            Some(Duration::ZERO) => Due::Now,
            Some(linger) => {
                let at = first.since.saturating_add(linger);
                if at <= now { Due::Now } else { Due::At(at) }
            }
            None => Due::WhenFull,
        }
    }

    /// Takes the batch that was gathered for `key`. With it, whether another worker should start for what
    /// remains.
    pub(super) fn take(&mut self, key: &K) -> (Vec<Item<T>>, Urge) {
        let Some(waiting) = self.keys.get_mut(key) else {
            return (Vec::new(), Urge::Rest);
        };
        let batch = waiting.take(&self.limits);
        self.queued -= batch.len();
        waiting.in_flight += 1;
        waiting.gathers = !waiting.items.is_empty() && waiting.in_flight < self.limits.per_key;
        if waiting.gathers {
            self.workers += 1;
            (batch, Urge::Start)
        } else {
            (batch, Urge::Rest)
        }
    }

    /// Notes the end of a batch; whether its worker should gather the next one. It ends otherwise.
    pub(super) fn finished(&mut self, key: &K) -> bool {
        let Some(waiting) = self.keys.get_mut(key) else {
            self.workers -= 1;
            return false;
        };
        waiting.in_flight -= 1;
        let goes_on = !waiting.gathers && !waiting.items.is_empty();
        if goes_on {
            waiting.gathers = true;
            return true;
        }
        if waiting.items.is_empty() && waiting.in_flight == 0 && !waiting.gathers {
            self.keys.remove(key);
        }
        self.workers -= 1;
        false
    }

    /// Empties `key` after its worker died, gathering or in flight: nobody is left to handle its items.
    pub(super) fn desert(&mut self, key: &K, gathering: bool) -> Vec<T> {
        self.workers -= 1;
        let Some(waiting) = self.keys.get_mut(key) else {
            return Vec::new();
        };
        if gathering {
            waiting.gathers = false;
        } else {
            waiting.in_flight -= 1;
        }
        let items = std::mem::take(&mut waiting.items);
        waiting.bytes = 0;
        self.queued -= items.len();
        if waiting.in_flight == 0 && !waiting.gathers {
            self.keys.remove(key);
        }
        items.into_iter().map(|item| item.item).collect()
    }

    /// Refuses new items from now on, and lets batches leave that are not full. The items in line.
    pub(super) fn close(&mut self) -> impl Iterator<Item = &T> {
        self.closed = true;
        self.line.values().map(|(_, item)| &item.item)
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether nothing waits in the queue and nobody works.
    pub(super) const fn is_idle(&self) -> bool {
        self.queued == 0 && self.workers == 0
    }

    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn in_line(&self) -> usize {
        self.line.len()
    }

    pub(super) const fn capacity(&self) -> usize {
        self.limits.capacity
    }
}

impl<T> Waiting<T> {
    fn new() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            gathers: false,
            in_flight: 0,
        }
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.items.len() >= limits.items || self.bytes >= limits.bytes
    }

    /// The oldest items, as many as a batch may have: at least one.
    fn take(&mut self, limits: &Limits) -> Vec<Item<T>> {
        let mut bytes = 0_usize;
        let fitting = self.items.iter().take(limits.items).take_while(|item| {
            bytes = bytes.saturating_add(item.bytes);
            bytes <= limits.bytes
        });
        let count = fitting.count().max(1).min(self.items.len());
        let batch: Vec<_> = if count == self.items.len() {
            std::mem::take(&mut self.items).into()
        } else {
            self.items.drain(..count).collect()
        };
        self.bytes -= batch.iter().map(|item| item.bytes).sum::<usize>();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const KEYS: usize = 3;

    #[derive(Clone, Debug)]
    enum Step {
        Submit {
            key: usize,
            bytes: usize,
        },
        Withdraw(usize),
        /// The gathering worker of a key takes its batch.
        Take(usize),
        /// The oldest batch in flight of a key ends.
        Finish(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..KEYS, 0..40_usize).prop_map(|(key, bytes)| Step::Submit { key, bytes }),
            1 => (0..30_usize).prop_map(Step::Withdraw),
            2 => (0..KEYS).prop_map(Step::Take),
            2 => (0..KEYS).prop_map(Step::Finish),
        ]
    }

    /// A worker as the queue should see it, and what left.
    #[derive(Default)]
    struct World {
        gathering: [usize; KEYS],
        in_flight: [usize; KEYS],
        left: [Vec<u32>; KEYS],
        taken: [Vec<u32>; KEYS],
        in_line: Vec<(u64, usize, u32)>,
    }

    impl World {
        fn follow(&mut self, urge: Urge, key: usize) {
            self.gathering[key] += usize::from(urge == Urge::Start);
        }

        fn admit(&mut self, queue: &mut Queue<usize, u32>) {
            while let Some((key, item)) = queue.admit() {
                let (_, line_key, first) = self.in_line.remove(0);
                assert_eq!(
                    (line_key, first),
                    (key, item.item),
                    "first come, first served"
                );
                self.taken[key].push(item.item);
                let urge = queue.push(key, item);
                self.follow(urge, key);
            }
        }

        fn take(&mut self, queue: &mut Queue<usize, u32>, key: usize, limits: &Limits) {
            let (batch, urge) = queue.take(&key);
            self.gathering[key] -= 1;
            self.in_flight[key] += 1;
            self.follow(urge, key);
            let bytes: usize = batch.iter().map(|item| item.bytes).sum();
            assert!((1..=limits.items).contains(&batch.len()));
            assert!(bytes <= limits.bytes || batch.len() == 1);
            self.left[key].extend(batch.iter().map(|item| item.item));
            self.admit(queue);
        }

        fn finish(&mut self, queue: &mut Queue<usize, u32>, key: usize) {
            self.in_flight[key] -= 1;
            self.gathering[key] += usize::from(queue.finished(&key));
        }
    }

    proptest! {
        /// Against a model of lists: what was taken leaves once, in order of its key, in batches within
        /// the limits, and workers are where the queue asked for them.
        #[test]
        fn what_is_taken_leaves_once_and_in_order(
            steps in vec(step(), 0..300),
            items in 1_usize..5,
            capacity in 1_usize..8,
            per_key in 1_usize..3,
        ) {
            let limits = Limits { items, bytes: 50, linger: Some(Duration::ZERO), per_key, capacity };
            let mut queue = Queue::new(limits);
            let mut world = World::default();
            for (step, number) in steps.into_iter().zip(0_u32..) {
                match step {
                    Step::Submit { key, bytes } => {
                        let item = Item { item: number, bytes, since: Moment::ORIGIN };
                        if queue.has_room() {
                            world.taken[key].push(number);
                            let urge = queue.push(key, item);
                            world.follow(urge, key);
                        } else {
                            world.in_line.push((queue.line_up(key, item), key, number));
                        }
                    }
                    Step::Withdraw(at) if at < world.in_line.len() => {
                        let (place, _, number) = world.in_line.remove(at);
                        prop_assert_eq!(queue.leave_line(place), Some(number));
                        prop_assert_eq!(queue.leave_line(place), None);
                    }
                    Step::Take(key) if world.gathering[key] > 0 => {
                        world.take(&mut queue, key, &limits);
                    }
                    Step::Finish(key) if world.in_flight[key] > 0 => {
                        world.finish(&mut queue, key);
                    }
                    _ => {}
                }
                prop_assert!(queue.queued() <= capacity);
                prop_assert_eq!(queue.in_line(), world.in_line.len());
                prop_assert!(world.gathering.iter().all(|gathering| *gathering <= 1));
                prop_assert!(world.in_flight.iter().all(|flying| *flying <= per_key));
            }
            while let Some(key) = (0..KEYS).find(|key| world.gathering[*key] + world.in_flight[*key] > 0) {
                match world.in_flight[key] {
                    0 => world.take(&mut queue, key, &limits),
                    _ => world.finish(&mut queue, key),
                }
            }
            prop_assert_eq!(&world.left, &world.taken);
            prop_assert!(queue.is_idle() && queue.in_line() == 0 && queue.keys.is_empty());
        }
    }

    #[test]
    fn a_batch_is_due_when_it_is_full_or_has_lingered_or_nobody_else_can_come() {
        let limits = Limits {
            items: 3,
            bytes: 100,
            linger: Some(Duration::from_nanos(10)),
            per_key: 1,
            capacity: 4,
        };
        let item = |bytes, since| Item {
            item: (),
            bytes,
            since: Moment::from_nanos(since),
        };
        let at = Moment::from_nanos;
        let mut queue = Queue::new(limits);
        assert_eq!(queue.push("a", item(1, 5)), Urge::Start);
        assert_eq!(queue.due(&"a", at(6)), Due::At(at(15)));
        assert_eq!(queue.due(&"a", at(15)), Due::Now);
        assert_eq!(queue.push("a", item(99, 7)), Urge::Tell);
        assert_eq!(queue.due(&"a", at(7)), Due::Now, "100 bytes");
        queue.push("b", item(1, 8));
        assert_eq!(queue.due(&"b", at(8)), Due::At(at(18)));
        queue.push("b", item(1, 9));
        assert_eq!(queue.due(&"b", at(9)), Due::Now, "the queue is full");

        let mut patient = Queue::new(Limits {
            linger: None,
            ..limits
        });
        patient.push("a", item(1, 5));
        assert_eq!(patient.due(&"a", at(1_000)), Due::WhenFull);
        assert_eq!(patient.close().count(), 0);
        assert_eq!(patient.due(&"a", at(6)), Due::Now, "closed");
    }
}

use super::Callsite;
use super::span::records_more;
use crate::lines::{Lines, Table};
use crate::memory::{KeptMark, Totals};
use parking_lot::Mutex;
use perf_core::Histogram;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::LocalKey;

/// The node of a call site's last call on one thread.
pub type Slot = Cell<Option<&'static Node>>;

/// Deeper calls are counted as truncated; their time stays with the caller.
const MAX_DEPTH: u32 = 128;
/// A lane's most nodes. A program that takes more distinct paths on one thread loses the further ones.
const MAX_NODES: usize = 16_384;

/// Lanes with a latency histogram of their own for each function. What runs on further ones shares one,
/// at the cost of locked additions: so a function has at most 17 of them, 153 KiB, whatever the threads.
const OWN_LATENCIES: usize = 16;

/// The counters of one thread at a time.
#[derive(Debug)]
pub(super) struct Lane {
    /// Whether only its owner writes to its histograms.
    exclusive: bool,
    /// Whether that is so and time by the processor's counter is all that is recorded.
    plain: bool,
    /// The node that the thread is in, 0 outside all of them.
    current: AtomicU32,
    /// When the outermost profiled poll began that the thread is in, in ticks; 0 outside.
    polling: AtomicU64,
    paths: Mutex<Paths>,
}

/// The poll that a thread is in.
pub(crate) struct Polling {
    /// When it began, in ticks.
    pub(crate) since: u64,
    /// The functions that the thread stands in, outermost first.
    pub(crate) stack: Vec<&'static str>,
}

#[derive(Debug, Default)]
struct Paths {
    nodes: Vec<&'static Node>,
    children: HashMap<(u32, usize), &'static Node>,
    histograms: HashMap<usize, &'static Histogram>,
    tables: HashMap<usize, &'static Table>,
}

/// One call path's counters. All but the cancellations are written by the lane's owner alone.
#[derive(Debug)]
pub struct Node {
    pub(super) callsite: &'static Callsite,
    pub(super) parent: u32,
    pub(super) calls: AtomicU64,
    /// Ticks spent on a thread, in calls and polls.
    pub(super) busy: AtomicU64,
    /// Ticks that futures which completed here have waited.
    pub(super) idle: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) slow_polls: AtomicU64,
    /// Futures dropped before they completed. Any thread may drop one.
    pub(super) cancelled: AtomicU64,
    pub(super) memory: Totals,
    /// What had been allocated when the call in progress began.
    pub(super) mark: KeptMark,
    pub(super) latency: &'static Histogram,
    id: u32,
    depth: u32,
    lane: &'static Lane,
}

static LANES: Mutex<Vec<&'static Lane>> = Mutex::new(Vec::new());
static FREE: Mutex<Vec<&'static Lane>> = Mutex::new(Vec::new());
static TRUNCATED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static LANE: Cell<Option<&'static Lane>> = const { Cell::new(None) };
    static LEASE: Lease = Lease::take();
}

/// Gives the lane back when its thread ends.
struct Lease(&'static Lane);

impl Lease {
    fn take() -> Self {
        let free = FREE.lock().pop();
        let lane = free.unwrap_or_else(|| {
            let mut lanes = LANES.lock();
            let exclusive = lanes.len() < OWN_LATENCIES;
            let lane: &'static Lane = Box::leak(Box::new(Lane {
                exclusive,
                plain: exclusive && !records_more(),
                current: AtomicU32::new(0),
                polling: AtomicU64::new(0),
                paths: Mutex::default(),
            }));
            lanes.push(lane);
            lane
        });
        lane.current.store(0, Relaxed);
        lane.polling.store(0, Relaxed);
        Self(lane)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Destructors of other thread-locals may still call profiled code: it then finds no lane.
        LANE.set(None);
        FREE.lock().push(self.0);
    }
}

impl Lane {
    /// The poll that its thread is in, if the thread stood still while we looked.
    fn poll(&self) -> Option<Polling> {
        let since = self.polling.load(Relaxed);
        let current = self.current.load(Relaxed);
        let paths = self.paths.lock();
        let mut stack = Vec::new();
        let mut above = current;
        while let Some(node) = above
            .checked_sub(1)
            .and_then(|index| paths.nodes.get(index as usize))
        {
            stack.push(node.callsite.name());
            above = node.parent;
        }
        stack.reverse();
        let same = self.polling.load(Relaxed) == since && self.current.load(Relaxed) == current;
        (since != 0 && same).then_some(Polling { since, stack })
    }

    fn child(&'static self, callsite: &'static Callsite) -> Option<&'static Node> {
        let mut paths = self.paths.lock();
        let parent = self.current.load(Relaxed);
        if let Some(node) = paths.children.get(&(parent, callsite.key())) {
            return Some(*node);
        }
        let above = parent
            .checked_sub(1)
            .map(|index| paths.nodes[index as usize]);
        let depth = above.map_or(1, |node| node.depth + 1);
        if depth > MAX_DEPTH || paths.nodes.len() >= MAX_NODES {
            return None;
        }
        Some(paths.add(self, callsite, parent, depth))
    }
}

impl Paths {
    fn add(
        &mut self,
        lane: &'static Lane,
        callsite: &'static Callsite,
        parent: u32,
        depth: u32,
    ) -> &'static Node {
        let latency =
            self.histograms
                .entry(callsite.key())
                .or_insert_with(|| match lane.exclusive {
                    true => Box::leak(Box::default()),
                    false => shared_latency(callsite),
                });
        let node: &'static Node = Box::leak(Box::new(Node {
            callsite,
            parent,
            calls: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            slow_polls: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            memory: Totals::new(),
            mark: KeptMark::new(),
            latency,
            // At most `MAX_NODES`, far below the type's range.
            id: u32::try_from(self.nodes.len() + 1).unwrap_or(u32::MAX),
            depth,
            lane,
        }));
        self.nodes.push(node);
        self.children.insert((parent, callsite.key()), node);
        node
    }
}

/// The histogram of a function on the lanes that have none of their own.
fn shared_latency(callsite: &'static Callsite) -> &'static Histogram {
    static SHARED: Mutex<BTreeMap<usize, &'static Histogram>> = Mutex::new(BTreeMap::new());
    let mut shared = SHARED.lock();
    shared
        .entry(callsite.key())
        .or_insert_with(|| Box::leak(Box::default()))
}

impl Node {
    /// The node of a call of `callsite` from where this thread stands; `None` when there is no room.
    #[inline]
    pub(super) fn of(
        callsite: &'static Callsite,
        slot: &'static LocalKey<Slot>,
    ) -> Option<&'static Self> {
        // A thread that has given its lane back stands nowhere.
        let own = LANE.get().map(std::ptr::from_ref);
        match slot.get() {
            Some(node)
                if Some(std::ptr::from_ref(node.lane)) == own
                    && node.lane.current.load(Relaxed) == node.parent =>
            {
                Some(node)
            }
            _ => Self::find(callsite, slot),
        }
    }

    #[cold]
    fn find(callsite: &'static Callsite, slot: &'static LocalKey<Slot>) -> Option<&'static Self> {
        let node = Self::locate(callsite);
        match node {
            Some(node) => slot.set(Some(node)),
            None => _ = TRUNCATED.fetch_add(1, Relaxed),
        }
        node
    }

    fn locate(callsite: &'static Callsite) -> Option<&'static Self> {
        Self::lane()?.child(callsite)
    }

    /// This thread's lane; `None` at the thread's very end.
    fn lane() -> Option<&'static Lane> {
        LANE.get().or_else(|| {
            let lane = LEASE.try_with(|lease| lease.0).ok();
            LANE.set(lane);
            lane
        })
    }

    /// The node of another call of the same function from where this thread stands, if there is room.
    #[cold]
    pub(super) fn again(&self) -> Option<&'static Self> {
        Self::locate(self.callsite)
    }

    /// Shows that the thread is in a poll from now on, if none is around it.
    #[inline]
    pub(super) fn begin_poll(&self, now: u64) {
        if self.parent == 0 {
            self.lane.polling.store(now, Relaxed);
        }
    }

    /// Ends what [`Node::begin_poll`] began.
    #[inline]
    pub(super) fn end_poll(&self) {
        if self.parent == 0 {
            self.lane.polling.store(0, Relaxed);
        }
    }

    /// Makes this the node that its thread stands in.
    #[inline]
    pub(super) fn enter(&self) {
        self.lane.current.store(self.id, Relaxed);
    }

    /// Returns to the caller's node.
    #[inline]
    pub(super) fn leave(&self) {
        if self.lane.current.load(Relaxed) == self.id {
            self.lane.current.store(self.parent, Relaxed);
        } else {
            self.leave_late();
        }
    }

    /// Ends a call while the thread stands elsewhere. If that is in a callee, which outlives it or has
    /// been forgotten, the callee ends as well; otherwise this call itself ended so before.
    #[cold]
    fn leave_late(&self) {
        let paths = self.lane.paths.lock();
        let mut current = self.lane.current.load(Relaxed);
        while let Some(index) = current.checked_sub(1) {
            let node = paths.nodes[index as usize];
            if node.id == self.id {
                self.lane.current.store(self.parent, Relaxed);
                return;
            }
            current = node.parent;
        }
    }

    /// Whether nothing but time, by the processor's counter, is recorded, and by its thread alone.
    #[inline]
    pub(super) const fn is_plain(&self) -> bool {
        self.lane.plain
    }

    /// Counts a call that was on its thread for so many ticks.
    #[inline]
    pub(super) fn count_call(&self, busy: u64) {
        add(&self.calls, 1);
        add(&self.busy, busy);
    }

    /// Records how long a call took, in ticks.
    #[inline]
    pub(super) fn record_latency(&self, ticks: u64) {
        if self.lane.exclusive {
            self.latency.record_exclusive(ticks);
        } else {
            self.latency.record(ticks);
        }
    }
}

/// Adds to a counter that only this thread writes.
#[inline]
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// Where this thread counts a function's statements; `None` at the thread's very end.
pub(crate) fn table_of(lines: &'static Lines) -> Option<&'static Table> {
    let mut paths = Node::lane()?.paths.lock();
    let table = paths.tables.entry(lines.key());
    Some(*table.or_insert_with(|| lines.table()))
}

/// The polls that threads are in, each with the number of its lane.
pub(crate) fn polling() -> Vec<(usize, Polling)> {
    let lanes = LANES.lock().clone();
    let polls = lanes.iter().enumerate();
    polls
        .filter_map(|(number, lane)| Some((number, lane.poll()?)))
        .collect()
}

/// The name of the innermost profiled function that this thread is in.
pub(crate) fn current() -> Option<&'static str> {
    let lane = LANE.get()?;
    let index = lane.current.load(Relaxed).checked_sub(1)?;
    let paths = lane.paths.lock();
    Some(paths.nodes.get(index as usize)?.callsite.name())
}

/// The nodes of every lane, each lane's parents before their children.
pub(super) fn nodes() -> Vec<Vec<&'static Node>> {
    let lanes = LANES.lock().clone();
    lanes
        .iter()
        .map(|lane| lane.paths.lock().nodes.clone())
        .collect()
}

/// Calls that were too deep, or took too many distinct paths, to have a node of their own.
pub(crate) fn truncated_calls() -> u64 {
    TRUNCATED.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_few_histograms_however_many_threads_call_it() {
        static CALLSITE: Callsite = Callsite::new("crowded", "", "", 1);
        const THREADS: usize = 64;
        let barrier = std::sync::Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    thread_local!(static SLOT: Slot = const { Slot::new(None) });
                    let node = Node::of(&CALLSITE, &SLOT).unwrap();
                    barrier.wait();
                    for _ in 0..1_000 {
                        node.record_latency(5);
                    }
                });
            }
        });
        let lanes = nodes();
        let crowded = lanes
            .iter()
            .flatten()
            .filter(|node| std::ptr::eq(node.callsite, &raw const CALLSITE));
        let histograms: std::collections::HashSet<_> = crowded
            .map(|node| std::ptr::from_ref(node.latency))
            .collect();
        assert!(histograms.len() <= 17, "{}", histograms.len());
        let functions = crate::functions::collect().functions;
        let crowded = functions
            .iter()
            .find(|function| function.name == "crowded")
            .unwrap();
        assert_eq!(crowded.latency.count, 64_000);
    }

    #[test]
    fn threads_that_have_ended_leave_their_lanes_to_others() {
        let before = LANES.lock().len();
        for _ in 0..500 {
            let thread =
                std::thread::spawn(|| _ = LEASE.with(|lease| lease.0.current.load(Relaxed)));
            thread.join().unwrap();
        }
        // Tests beside this one take a lane for each of their threads.
        assert!(LANES.lock().len() < before + 250);
    }
}

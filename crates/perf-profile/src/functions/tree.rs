use super::lane::{Node, nodes};
use super::{CallPath, Callsite, FunctionStats};
use crate::memory::MemoryStats;
use crate::ticks;
use perf_core::Summary;
use perf_core::histogram::Snapshot;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// All functions, by cumulative time, and the paths that led to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions {
    pub(crate) functions: Vec<FunctionStats>,
    pub(crate) paths: Vec<CallPath>,
}

/// One call path summed over the lanes, in ticks.
struct Path {
    callsite: &'static Callsite,
    parent: Option<usize>,
    calls: u64,
    busy: u64,
    /// The busy time of the paths that extend this one.
    below: u64,
    idle: u64,
    polls: u64,
    slow_polls: u64,
    cancelled: u64,
    memory: MemoryStats,
    /// The bytes of the paths that extend this one.
    bytes_below: u64,
}

/// Reads every lane. Threads go on recording meanwhile; each counter is exact and never decreases from
/// one reading to the next.
pub(crate) fn collect() -> Functions {
    let lanes = nodes();
    let paths = merge(&lanes);
    let latencies = latencies(&lanes);
    let mut functions = functions(&paths, &latencies);
    functions.sort_by(|a, b| b.cumulative.cmp(&a.cumulative).then(a.name.cmp(b.name)));
    Functions {
        functions,
        paths: paths.iter().map(Path::public).collect(),
    }
}

fn merge(lanes: &[Vec<&'static Node>]) -> Vec<Path> {
    let mut merged: Vec<Path> = Vec::new();
    let mut known: HashMap<(Option<usize>, usize), usize> = HashMap::new();
    for lane in lanes {
        // Where each of the lane's nodes went. A node's parent was added before it.
        let mut places: Vec<usize> = Vec::with_capacity(lane.len());
        for node in lane {
            let parent = (node.parent as usize)
                .checked_sub(1)
                .map(|index| places[index]);
            let place = *known
                .entry((parent, node.callsite.key()))
                .or_insert_with(|| {
                    merged.push(Path::empty(node.callsite, parent));
                    merged.len() - 1
                });
            places.push(place);
            merged[place].add(node);
        }
    }
    for index in 0..merged.len() {
        let (busy, bytes) = (merged[index].busy, merged[index].memory.bytes);
        if let Some(parent) = merged[index].parent {
            merged[parent].below += busy;
            merged[parent].bytes_below += bytes;
        }
    }
    merged
}

/// The latency of each call site, by its key.
fn latencies(lanes: &[Vec<&'static Node>]) -> HashMap<usize, Snapshot> {
    let mut latencies: HashMap<usize, Snapshot> = HashMap::new();
    // A call site's nodes in a lane share one histogram, and some lanes share it.
    let mut seen = HashSet::new();
    for node in lanes.iter().flatten() {
        if seen.insert(std::ptr::from_ref(node.latency)) {
            latencies
                .entry(node.callsite.key())
                .or_default()
                .merge(&node.latency.snapshot());
        }
    }
    latencies
}

fn functions(paths: &[Path], latencies: &HashMap<usize, Snapshot>) -> Vec<FunctionStats> {
    let mut functions: HashMap<usize, FunctionStats> = HashMap::new();
    for (index, path) in paths.iter().enumerate() {
        let key = path.callsite.key();
        let stats = functions.entry(key).or_insert_with(|| {
            let latency = latencies
                .get(&key)
                .map(Snapshot::summary)
                .unwrap_or_default();
            empty(path.callsite, in_nanoseconds(latency))
        });
        stats.calls += path.calls;
        stats.own += duration(path.own());
        stats.idle += duration(path.idle);
        stats.polls += path.polls;
        stats.slow_polls += path.slow_polls;
        stats.cancelled += path.cancelled;
        let own_bytes = path.memory.bytes.saturating_sub(path.bytes_below);
        let mut memory = MemoryStats {
            own_bytes,
            ..Default::default()
        };
        if !recurs(paths, index) {
            stats.cumulative += duration(path.busy);
            memory = MemoryStats {
                own_bytes,
                ..path.memory
            };
        }
        stats.memory.merge(&memory);
    }
    functions.into_values().collect()
}

/// Whether a path's function already stands further up in it, where its time is counted.
fn recurs(paths: &[Path], index: usize) -> bool {
    let key = paths[index].callsite.key();
    let mut above = paths[index].parent;
    while let Some(parent) = above {
        if paths[parent].callsite.key() == key {
            return true;
        }
        above = paths[parent].parent;
    }
    false
}

impl Path {
    fn empty(callsite: &'static Callsite, parent: Option<usize>) -> Self {
        Self {
            callsite,
            parent,
            calls: 0,
            busy: 0,
            below: 0,
            idle: 0,
            polls: 0,
            slow_polls: 0,
            cancelled: 0,
            memory: MemoryStats::default(),
            bytes_below: 0,
        }
    }

    fn add(&mut self, node: &Node) {
        self.calls += node.calls.load(Relaxed);
        self.busy += node.busy.load(Relaxed);
        self.idle += node.idle.load(Relaxed);
        self.polls += node.polls.load(Relaxed);
        self.slow_polls += node.slow_polls.load(Relaxed);
        self.cancelled += node.cancelled.load(Relaxed);
        self.memory.merge(&node.memory.stats());
    }

    /// Calls still running have counted their callees' time but not yet their own.
    const fn own(&self) -> u64 {
        self.busy.saturating_sub(self.below)
    }

    fn public(&self) -> CallPath {
        CallPath {
            name: self.callsite.name(),
            parent: self.parent,
            calls: self.calls,
            cumulative: duration(self.busy),
            own: duration(self.own()),
        }
    }
}

fn empty(callsite: &'static Callsite, latency: Summary) -> FunctionStats {
    FunctionStats {
        name: callsite.name(),
        module: callsite.module(),
        file: callsite.file(),
        line: callsite.line(),
        calls: 0,
        cumulative: Duration::ZERO,
        own: Duration::ZERO,
        idle: Duration::ZERO,
        polls: 0,
        slow_polls: 0,
        cancelled: 0,
        latency,
        memory: MemoryStats::default(),
    }
}

fn duration(ticks: u64) -> Duration {
    Duration::from_nanos(ticks::nanos(ticks))
}

/// A summary of ticks, of which the histogram believed that they were nanoseconds.
fn in_nanoseconds(mut summary: Summary) -> Summary {
    let fields = [
        &mut summary.sum,
        &mut summary.p50,
        &mut summary.p95,
        &mut summary.p99,
        &mut summary.p999,
        &mut summary.max,
    ];
    for field in fields {
        *field = duration(u64::try_from(field.as_nanos()).unwrap_or(u64::MAX));
    }
    summary
}

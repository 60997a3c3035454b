use super::Callsite;
use super::lane::{Node, Slot, add};
use crate::memory::{Mark, is_installed};
use crate::ticks;
use std::marker::PhantomData;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Relaxed, Release},
};
use std::thread::LocalKey;
use std::time::Duration;

/// What is recorded, and how: one of the three below. One word, so that a span's start reads it once.
static RECORDED: AtomicU8 = AtomicU8::new(NOTHING);
const NOTHING: u8 = 0;
/// Time alone, by the processor's counter.
const TIME: u8 = 1;
/// Memory as well, or time by another clock.
const MORE: u8 = 2;

/// Whether spans count what is allocated in them.
static MEMORY: AtomicBool = AtomicBool::new(false);

/// From how many ticks on a poll is slow.
static SLOW_POLL: AtomicU64 = AtomicU64::new(u64::MAX);

/// A call in progress; dropping it ends it.
///
/// Spans end in the reverse order of their start; one that outlives its caller's ends with it as a caller
/// of others, and counts all the same. One held across an `.await` would count what other
/// tasks do meanwhile: put `#[profile]` on the async function, or use [`profiled`](super::profiled).
/// It is bound to its thread, so that a task which may move cannot hold one:
///
/// ```compile_fail,E0277
/// let span = perf_profile::span!("here");
/// std::thread::spawn(move || drop(span));
/// ```
#[derive(Debug)]
#[must_use = "a span that is dropped at once measures nothing"]
pub struct Span {
    /// Where the call is counted, if it is.
    node: Option<&'static Node>,
    /// In ticks.
    started: u64,
    /// A span ends on the thread that it started on.
    bound: PhantomData<*const ()>,
}

/// Times the rest of the enclosing block under a name of its own.
///
/// Costs two readings of the time stamp counter and a few nanoseconds; about one while the profiler is
/// paused.
///
/// ```
/// use perf_profile::{Profiler, span};
///
/// let profiler = Profiler::builder().build();
/// for _ in 0..3 {
///     let _span = span!("parse");
/// }
/// let snapshot = profiler.snapshot();
/// let parse = snapshot.functions().iter().find(|function| function.name == "parse");
/// assert_eq!(parse.map(|function| function.calls), Some(3));
/// ```
#[macro_export]
macro_rules! span {
    ($name:expr) => {{
        static CALLSITE: $crate::__private::Callsite = $crate::__private::Callsite::new(
            $name,
            ::std::module_path!(),
            ::std::file!(),
            ::std::line!(),
        );
        ::std::thread_local! {
            static SLOT: $crate::__private::Slot = const { $crate::__private::Slot::new(None) };
        }
        $crate::__private::enter(&CALLSITE, &SLOT)
    }};
}

/// Starts a call of `callsite`, whose last node on this thread `slot` remembers.
///
/// Always inlined: only then does the compiler know the slot, and reads it without a call.
#[inline(always)]
pub fn enter(callsite: &'static Callsite, slot: &'static LocalKey<Slot>) -> Span {
    match RECORDED.load(Relaxed) {
        TIME => match Node::of(callsite, slot) {
            Some(node) => {
                node.enter();
                Span::new(Some(node), ticks::counter())
            }
            None => Span::NOTHING,
        },
        NOTHING => Span::NOTHING,
        _ => Span::more(Node::of(callsite, slot)),
    }
}

impl Span {
    const NOTHING: Self = Self::new(None, 0);

    #[inline(always)]
    const fn new(node: Option<&'static Node>, started: u64) -> Self {
        Self {
            node,
            started,
            bound: PhantomData,
        }
    }

    #[cold]
    #[inline(never)]
    fn more(node: Option<&'static Node>) -> Self {
        let Some(node) = node else {
            return Self::NOTHING;
        };
        node.enter();
        if records_memory() {
            node.mark.keep(Mark::start());
        }
        Self::new(Some(node), ticks::now())
    }

    /// Whether the call is counted.
    #[inline]
    pub(crate) const fn is_recorded(&self) -> bool {
        self.node.is_some()
    }

    /// This span, or if it records nothing, one of the function that `node` is of, paused or not.
    #[inline]
    pub(super) fn or_again(self, node: &'static Node) -> Self {
        if self.is_recorded() {
            return self;
        }
        Self::more(node.again())
    }

    /// Makes this the span of a poll.
    #[inline]
    pub(super) fn begin_poll(&self) {
        if let Some(node) = self.node {
            node.begin_poll(self.started);
        }
    }

    /// Ends one poll of a future instead of a whole call; tells where and how long it ran.
    #[inline]
    pub(super) fn end_poll(&mut self) -> Option<Poll> {
        let node = self.node.take()?;
        let ended = if node.is_plain() {
            ticks::counter()
        } else {
            end(node)
        };
        let started = self.started;
        let busy = ended.saturating_sub(started);
        add(&node.busy, busy);
        add(&node.polls, 1);
        if busy >= SLOW_POLL.load(Relaxed) {
            add(&node.slow_polls, 1);
        }
        node.end_poll();
        node.leave();
        Some(Poll {
            node,
            started,
            ended,
        })
    }
}

/// One poll of a profiled future, in ticks.
pub(super) struct Poll {
    pub(super) node: &'static Node,
    pub(super) started: u64,
    pub(super) ended: u64,
}

impl Drop for Span {
    /// Small enough to be inlined everywhere, so that a span which records nothing costs no call.
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(node) = self.node {
            end_call(node, self.started);
        }
    }
}

#[inline(never)]
fn end_call(node: &'static Node, started: u64) {
    if !node.is_plain() {
        return end_other(node, started);
    }
    let busy = ticks::counter().saturating_sub(started);
    node.count_call(busy);
    node.latency.record_exclusive(busy);
    node.leave();
}

/// Ends a call of which more than the time is recorded, or whose latency is shared.
#[cold]
#[inline(never)]
fn end_other(node: &'static Node, started: u64) {
    let busy = end(node).saturating_sub(started);
    node.count_call(busy);
    node.record_latency(busy);
    node.leave();
}

/// The present reading; what is measured beside time ends with it.
fn end(node: &'static Node) -> u64 {
    let ended = ticks::now();
    if records_memory() {
        node.memory.add_exclusive(node.mark.mark().end());
    }
    ended
}

pub(crate) fn is_recording() -> bool {
    RECORDED.load(Relaxed) != NOTHING
}

/// Whether what is recorded is [`MORE`] when it is anything: no process changes its mind about that.
pub(super) fn records_more() -> bool {
    records_memory() || !ticks::by_counter()
}

/// Whether spans count what is allocated in them.
pub(crate) fn records_memory() -> bool {
    MEMORY.load(Relaxed)
}

pub(crate) fn set_slow_poll(threshold: Duration) {
    SLOW_POLL.store(ticks::of(threshold), Relaxed);
}

pub(crate) fn set_recording(on: bool) {
    let memory = is_installed();
    MEMORY.store(memory, Relaxed);
    let recorded = match (on, records_more()) {
        (false, _) => NOTHING,
        (true, false) => TIME,
        (true, true) => MORE,
    };
    // Whoever records must know whether it is memory, too.
    RECORDED.store(recorded, Release);
}

use super::Callsite;
use super::lane::{Node, Slot, add};
use crate::memory::{Mark, is_installed};
use crate::ticks;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread::LocalKey;
use std::time::Duration;

/// What is recorded: one of the three below. One word, so that a span reads it once.
static RECORDED: AtomicU8 = AtomicU8::new(NOTHING);
const NOTHING: u8 = 0;
const TIME: u8 = 1;
const TIME_AND_MEMORY: u8 = 2;

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
    node: Option<&'static Node>,
    started: u64,
    memory: Option<Mark>,
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
    let recorded = RECORDED.load(Relaxed);
    if recorded == NOTHING {
        return Span::NOTHING;
    }
    Span::start(Node::of(callsite, slot), recorded)
}

impl Span {
    const NOTHING: Self = Self {
        node: None,
        started: 0,
        memory: None,
        bound: PhantomData,
    };

    #[inline(always)]
    fn start(node: Option<&'static Node>, recorded: u8) -> Self {
        let Some(node) = node else {
            return Self::NOTHING;
        };
        node.enter();
        Self {
            node: Some(node),
            memory: (recorded == TIME_AND_MEMORY).then(Mark::start),
            started: ticks::now(),
            bound: PhantomData,
        }
    }

    /// Whether the call is counted.
    #[inline]
    pub(crate) const fn is_recorded(&self) -> bool {
        self.node.is_some()
    }

    /// This span, or if it records nothing, one of the function that `node` is of, paused or not.
    #[inline]
    pub(super) fn or_again(self, node: &'static Node) -> Self {
        if self.node.is_some() {
            return self;
        }
        Self::start(node.again(), RECORDED.load(Relaxed))
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
        let ended = ticks::now();
        let busy = ended.saturating_sub(self.started);
        add(&node.busy, busy);
        add(&node.polls, 1);
        if busy >= SLOW_POLL.load(Relaxed) {
            add(&node.slow_polls, 1);
        }
        node.end_poll();
        self.end_memory(node);
        node.leave();
        Some(Poll {
            node,
            started: self.started,
            ended,
        })
    }

    #[inline]
    fn end_memory(&mut self, node: &Node) {
        if let Some(mark) = self.memory.take() {
            node.memory.add_exclusive(mark.end());
        }
    }
}

/// One poll of a profiled future, in ticks.
pub(super) struct Poll {
    pub(super) node: &'static Node,
    pub(super) started: u64,
    pub(super) ended: u64,
}

impl Drop for Span {
    #[inline]
    fn drop(&mut self) {
        let Some(node) = self.node else { return };
        let busy = ticks::now().saturating_sub(self.started);
        add(&node.calls, 1);
        add(&node.busy, busy);
        node.record_latency(busy);
        self.end_memory(node);
        node.leave();
    }
}

pub(crate) fn is_recording() -> bool {
    RECORDED.load(Relaxed) != NOTHING
}

/// Whether spans count what is allocated in them.
pub(crate) fn records_memory() -> bool {
    RECORDED.load(Relaxed) == TIME_AND_MEMORY
}

pub(crate) fn set_slow_poll(threshold: Duration) {
    SLOW_POLL.store(ticks::of(threshold), Relaxed);
}

pub(crate) fn set_recording(on: bool) {
    let recorded = match (on, is_installed()) {
        (false, _) => NOTHING,
        (true, false) => TIME,
        (true, true) => TIME_AND_MEMORY,
    };
    RECORDED.store(recorded, Relaxed);
}

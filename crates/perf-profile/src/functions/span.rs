use super::Callsite;
use super::lane::{Node, Slot, add};
use crate::memory::{Mark, is_installed};
use crate::ticks;
use std::marker::PhantomData;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::thread::LocalKey;
use std::time::Duration;

/// What is recorded, and how: one of the three below. One word, so that a span reads it once.
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
    state: State,
    /// A span ends on the thread that it started on.
    bound: PhantomData<*const ()>,
}

/// The usual case is apart from all others, so that neither end of it asks for anything twice.
#[derive(Debug)]
enum State {
    Nothing,
    Time {
        node: &'static Node,
        started: u64,
    },
    More {
        node: &'static Node,
        started: u64,
        memory: Option<Mark>,
    },
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
        NOTHING => Span::NOTHING,
        TIME => Node::of(callsite, slot).map_or(Span::NOTHING, |node| {
            node.enter();
            Span::new(State::Time {
                node,
                started: ticks::counter(),
            })
        }),
        _ => Span::more(Node::of(callsite, slot)),
    }
}

impl Span {
    const NOTHING: Self = Self::new(State::Nothing);

    #[inline(always)]
    const fn new(state: State) -> Self {
        Self {
            state,
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
        Self::new(State::More {
            node,
            memory: records_memory().then(Mark::start),
            started: ticks::now(),
        })
    }

    #[inline]
    const fn started(&self) -> Option<(&'static Node, u64)> {
        match self.state {
            State::Nothing => None,
            State::Time { node, started } | State::More { node, started, .. } => {
                Some((node, started))
            }
        }
    }

    /// Whether the call is counted.
    #[inline]
    pub(crate) const fn is_recorded(&self) -> bool {
        self.started().is_some()
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
        if let Some((node, started)) = self.started() {
            node.begin_poll(started);
        }
    }

    /// Ends one poll of a future instead of a whole call; tells where and how long it ran.
    #[inline]
    pub(super) fn end_poll(&mut self) -> Option<Poll> {
        let (node, started, ended) = match mem::replace(&mut self.state, State::Nothing) {
            State::Nothing => return None,
            State::Time { node, started } => (node, started, ticks::counter()),
            State::More {
                node,
                started,
                memory,
            } => {
                let ended = ticks::now();
                count_memory(node, memory);
                (node, started, ended)
            }
        };
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

#[inline]
fn count_memory(node: &Node, memory: Option<Mark>) {
    if let Some(mark) = memory {
        node.memory.add_exclusive(mark.end());
    }
}

/// One poll of a profiled future, in ticks.
pub(super) struct Poll {
    pub(super) node: &'static Node,
    pub(super) started: u64,
    pub(super) ended: u64,
}

impl Drop for Span {
    #[inline(always)]
    fn drop(&mut self) {
        match self.state {
            State::Nothing => {}
            State::Time { node, started } => end_call(node, started, ticks::counter()),
            State::More {
                node,
                started,
                memory,
            } => end_more(node, started, memory),
        }
    }
}

#[inline(always)]
fn end_call(node: &'static Node, started: u64, ended: u64) {
    let busy = ended.saturating_sub(started);
    add(&node.calls, 1);
    add(&node.busy, busy);
    node.record_latency(busy);
    node.leave();
}

#[cold]
#[inline(never)]
fn end_more(node: &'static Node, started: u64, memory: Option<Mark>) {
    let ended = ticks::now();
    count_memory(node, memory);
    end_call(node, started, ended);
}

pub(crate) fn is_recording() -> bool {
    RECORDED.load(Relaxed) != NOTHING
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
    let recorded = match (on, !memory && ticks::by_counter()) {
        (false, _) => NOTHING,
        (true, true) => TIME,
        (true, false) => MORE,
    };
    RECORDED.store(recorded, Relaxed);
}

use super::{Lines, Table};
use crate::functions::{Span, table_of};
use crate::memory::Mark;
use crate::ticks;
use std::cell::Cell;
use std::marker::PhantomData;
use std::thread::LocalKey;

/// Where a thread stands in a function's statements; one thread-local of each function.
pub type Frame = Cell<Current>;

/// Since when the present statement allocates; one thread-local of each function.
pub type Memory = Cell<Option<Mark>>;

/// The contents of a [`Frame`].
#[derive(Clone, Copy, Debug)]
pub struct Current {
    /// Where to count; `None` outside a recorded call.
    table: Option<&'static Table>,
    /// Where to count in the next one.
    known: Option<&'static Table>,
    /// When the present statement began or went on.
    since: u64,
    line: usize,
    memory: bool,
}

impl Current {
    /// Outside a call.
    pub const NONE: Self = Self {
        table: None,
        known: None,
        since: 0,
        line: 0,
        memory: false,
    };
}

/// Begins a statement and ends the one before.
#[inline(always)]
pub fn mark(frame: &'static LocalKey<Frame>, memory: &'static LocalKey<Memory>, line: usize) {
    let current = frame.get();
    let Some(table) = current.table else {
        return;
    };
    let now = ticks::now();
    table.step(current.line, now.saturating_sub(current.since), line);
    if current.memory {
        turn(table, current.line, memory);
    }
    frame.set(Current {
        since: now,
        line,
        ..current
    });
}

/// Ends one statement's allocations and begins the next one's.
#[cold]
fn turn(table: &Table, line: usize, memory: &'static LocalKey<Memory>) {
    if let Some(mark) = memory.take() {
        table.allocate(line, mark.end());
    }
    memory.set(Some(Mark::start()));
}

/// A call in whose statements a thread is; dropping it ends the last of them.
#[derive(Debug)]
#[must_use = "lines are recorded until the guard is dropped"]
pub struct LinesGuard {
    outer: Option<Entered>,
    /// A call ends on the thread that it started on.
    bound: PhantomData<*const ()>,
}

/// Goes into a function's statements, if `span` records the call.
#[inline]
pub fn enter_lines(
    lines: &'static Lines,
    frame: &'static LocalKey<Frame>,
    memory: &'static LocalKey<Memory>,
    span: &Span,
) -> LinesGuard {
    let table = span.is_recorded().then(|| table(lines, frame)).flatten();
    LinesGuard {
        outer: table.map(|table| Entered::enter(table, 0, frame, memory)),
        bound: PhantomData,
    }
}

/// Where this thread counts the statements.
#[inline]
pub(super) fn table(
    lines: &'static Lines,
    frame: &'static LocalKey<Frame>,
) -> Option<&'static Table> {
    let current = frame.get();
    current.known.or_else(|| {
        let known = table_of(lines);
        frame.set(Current { known, ..current });
        known
    })
}

impl Drop for LinesGuard {
    fn drop(&mut self) {
        if let Some(entered) = self.outer.take() {
            entered.leave();
        }
    }
}

/// A frame swapped in, and what it has replaced: a recursive function is in it already.
#[derive(Debug)]
pub(super) struct Entered {
    frame: &'static LocalKey<Frame>,
    memory: &'static LocalKey<Memory>,
    outer: Current,
    outer_memory: Option<Mark>,
}

/// Where a call stood when its frame was swapped out.
pub(super) struct Left {
    pub(super) line: usize,
    pub(super) at: u64,
}

impl Entered {
    pub(super) fn enter(
        table: &'static Table,
        line: usize,
        frame: &'static LocalKey<Frame>,
        memory: &'static LocalKey<Memory>,
    ) -> Self {
        let counts_memory = crate::functions::records_memory();
        let outer_memory = memory.replace(counts_memory.then(Mark::start));
        let outer = frame.replace(Current {
            table: Some(table),
            known: Some(table),
            since: ticks::now(),
            line,
            memory: counts_memory,
        });
        Self {
            frame,
            memory,
            outer,
            outer_memory,
        }
    }

    /// When the frame was swapped in or last marked.
    pub(super) fn since(&self) -> u64 {
        self.frame.get().since
    }

    pub(super) fn leave(self) -> Option<Left> {
        let current = self.frame.replace(self.outer);
        let mark = self.memory.replace(self.outer_memory);
        let table = current.table?;
        if let Some(mark) = mark {
            table.allocate(current.line, mark.end());
        }
        let now = ticks::now();
        table.spend(current.line, now.saturating_sub(current.since));
        Some(Left {
            line: current.line,
            at: now,
        })
    }
}

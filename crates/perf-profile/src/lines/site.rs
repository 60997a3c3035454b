use super::Table;
use crate::functions::Callsite;
use crate::queries::Latency;
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One statement in the source.
#[derive(Debug)]
pub struct LineSite {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) text: &'static str,
}

impl LineSite {
    /// Line and column count from 1.
    #[must_use]
    pub const fn new(line: u32, column: u32, text: &'static str) -> Self {
        Self { line, column, text }
    }
}

/// The statements of one function; a `static` of each function with `#[profile(lines)]`.
#[derive(Debug)]
pub struct Lines {
    pub(super) callsite: &'static Callsite,
    pub(super) sites: &'static [LineSite],
    pub(super) tables: Mutex<Vec<&'static Table>>,
    awaits: OnceLock<Box<[Awaits]>>,
}

/// The awaits of one statement.
#[derive(Debug, Default)]
pub(super) struct Awaits {
    pub(super) latency: Latency,
    pub(super) cancelled: AtomicU64,
}

static KNOWN: Mutex<Vec<&'static Lines>> = Mutex::new(Vec::new());

impl Lines {
    /// The statements of `callsite`, at least one.
    #[must_use]
    pub const fn new(callsite: &'static Callsite, sites: &'static [LineSite]) -> Self {
        Self {
            callsite,
            sites,
            tables: Mutex::new(Vec::new()),
            awaits: OnceLock::new(),
        }
    }

    /// A table for one more lane.
    pub(crate) fn table(&'static self) -> &'static Table {
        let table: &'static Table = Box::leak(Box::new(Table::new(self.sites.len())));
        let mut tables = self.tables.lock();
        if tables.is_empty() {
            KNOWN.lock().push(self);
        }
        tables.push(table);
        table
    }

    /// What tells functions apart.
    pub(crate) fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(super) fn awaits(&self) -> &[Awaits] {
        self.awaits
            .get_or_init(|| self.sites.iter().map(|_| Awaits::default()).collect())
    }
}

impl Awaits {
    pub(super) fn cancelled(&self) -> u64 {
        self.cancelled.load(Relaxed)
    }
}

/// Every function whose lines have been recorded.
pub(super) fn known() -> Vec<&'static Lines> {
    KNOWN.lock().clone()
}

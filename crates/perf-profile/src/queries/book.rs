use super::running::Register;
use super::{Latency, QueryStats, RequestState, SlowQuery};
use crate::builder::Settings;
use crate::plans::Explanation;
use crate::rules::Execution;
use crate::sql::{Fingerprint, Statement};
use ahash::RandomState;
use parking_lot::Mutex;
use perf_core::Moment;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Texts whose fingerprints are remembered. Programs that write values into their SQL have more, and
/// pay for the lexer each time.
const MAX_TEXTS: usize = 4_096;
/// Slow executions that are kept, the newest.
const MAX_SLOW: usize = 128;

/// Functions that a statement's executions are told apart by.
const MAX_FUNCTIONS: usize = 16;

/// Every statement seen, and what it did.
#[derive(Debug, Default)]
pub(crate) struct Book {
    hasher: RandomState,
    pages: Mutex<Pages>,
    slow: Mutex<VecDeque<SlowQuery>>,
    pub(super) running: Register,
    unscoped: AtomicU64,
}

#[derive(Debug, Default)]
struct Pages {
    /// By the hash of the text as it was sent. The key is random per process and 64 bits wide: two of
    /// 4,096 texts collide once in 10¹² processes.
    texts: HashMap<u64, Arc<Entry>>,
    statements: HashMap<Fingerprint, Arc<Entry>>,
    other: Option<Arc<Entry>>,
}

/// One statement's counters.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(super) statement: Statement,
    latency: Latency,
    rows_returned: AtomicU64,
    rows_affected: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) first_row: Latency,
    /// Executions that were slow.
    pub(super) slow: AtomicU64,
    pub(super) explanation: Mutex<Option<(Moment, Explanation)>>,
    functions: Mutex<Vec<(&'static str, u64)>>,
}

/// What sqlx says of one execution.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    /// The hash of the text.
    pub(crate) text: u64,
    pub(crate) rows_returned: u64,
    pub(crate) rows_affected: u64,
    pub(crate) elapsed: Duration,
    /// Whether it is known to have failed.
    pub(crate) failed: bool,
    /// The innermost profiled function that ran it.
    pub(crate) function: Option<&'static str>,
}

impl Book {
    /// The counters of the statement that `sql` is, and the hash of its text.
    pub(crate) fn entry(&self, sql: &str, settings: &Settings) -> (Arc<Entry>, u64) {
        let hash = self.hasher.hash_one(sql);
        let known = self.pages.lock().texts.get(&hash).map(Arc::clone);
        (
            known.unwrap_or_else(|| self.read(hash, sql, settings)),
            hash,
        )
    }

    fn read(&self, hash: u64, sql: &str, settings: &Settings) -> Arc<Entry> {
        let statement = Statement::parse(sql, settings.dialect);
        self.pages
            .lock()
            .add(hash, statement, settings.max_statements)
    }

    /// Counts one execution, for `request` if it belongs to one.
    pub(crate) fn record(
        &self,
        entry: &Arc<Entry>,
        observed: Observed,
        request: Option<&RequestState>,
        settings: &Settings,
    ) {
        entry.latency.record(observed.elapsed);
        entry
            .rows_returned
            .fetch_add(observed.rows_returned, Relaxed);
        entry
            .rows_affected
            .fetch_add(observed.rows_affected, Relaxed);
        entry.count_function(observed.function);
        match request {
            Some(request) => {
                let ended = settings.clock.now();
                let execution = Execution {
                    fingerprint: entry.statement.fingerprint(),
                    text: observed.text,
                    shape: entry.statement.shape(),
                    started: ended.saturating_sub(observed.elapsed),
                    ended,
                    rows: observed.rows_returned,
                    failed: observed.failed,
                    function: observed.function,
                };
                request.record(entry, execution);
            }
            None => _ = self.unscoped.fetch_add(1, Relaxed),
        }
        if observed.elapsed >= settings.slow_query {
            self.keep(entry, observed, request, settings);
        }
    }

    fn keep(
        &self,
        entry: &Entry,
        observed: Observed,
        request: Option<&RequestState>,
        settings: &Settings,
    ) {
        entry.slow.fetch_add(1, Relaxed);
        let slow = SlowQuery {
            fingerprint: entry.statement.fingerprint(),
            text: entry.statement.text().to_owned(),
            elapsed: observed.elapsed,
            rows_returned: observed.rows_returned,
            request: request.map(|request| (*request.name).to_owned()),
            function: observed.function,
        };
        if let Some(log) = &settings.slow_query_log {
            log.tell(&slow);
        }
        let mut kept = self.slow.lock();
        if kept.len() == MAX_SLOW {
            kept.pop_front();
        }
        kept.push_back(slow);
    }

    /// Every statement, the one that took longest in total first.
    pub(crate) fn queries(&self) -> Vec<QueryStats> {
        let entries = self.entries();
        let mut queries: Vec<_> = entries.iter().map(|entry| entry.stats()).collect();
        queries.sort_by(|a, b| {
            b.latency
                .sum
                .cmp(&a.latency.sum)
                .then_with(|| a.text.cmp(&b.text))
        });
        queries
    }

    /// Every statement, those beyond the limit as one.
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        let pages = self.pages.lock();
        let entries = pages.statements.values().chain(&pages.other);
        entries.map(Arc::clone).collect()
    }

    /// The newest slow executions, oldest first.
    pub(crate) fn slow(&self) -> Vec<SlowQuery> {
        self.slow.lock().iter().cloned().collect()
    }

    /// Forgets all statements. Those that are running are counted where nobody sees them.
    pub(crate) fn forget(&self) {
        *self.pages.lock() = Pages::default();
        self.slow.lock().clear();
        self.unscoped.store(0, Relaxed);
    }

    /// Executions outside every request.
    pub(crate) fn unscoped(&self) -> u64 {
        self.unscoped.load(Relaxed)
    }
}

impl Pages {
    fn add(&mut self, hash: u64, statement: Statement, max_statements: usize) -> Arc<Entry> {
        let full = self.statements.len() >= max_statements;
        let entry = match self.statements.get(&statement.fingerprint()) {
            Some(entry) => Arc::clone(entry),
            None if full => Arc::clone(
                self.other
                    .get_or_insert_with(|| Entry::new(Statement::other())),
            ),
            None => {
                let entry = Entry::new(statement);
                self.statements
                    .insert(entry.statement.fingerprint(), Arc::clone(&entry));
                entry
            }
        };
        if self.texts.len() >= MAX_TEXTS {
            self.texts.clear();
        }
        self.texts.insert(hash, Arc::clone(&entry));
        entry
    }
}

impl Entry {
    fn new(statement: Statement) -> Arc<Self> {
        Arc::new(Self {
            statement,
            latency: Latency::default(),
            rows_returned: AtomicU64::new(0),
            rows_affected: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            first_row: Latency::default(),
            slow: AtomicU64::new(0),
            explanation: Mutex::default(),
            functions: Mutex::default(),
        })
    }

    fn count_function(&self, function: Option<&'static str>) {
        let Some(function) = function else { return };
        let mut functions = self.functions.lock();
        let known = functions.iter().position(|(name, _)| *name == function);
        match known {
            Some(place) => functions[place].1 += 1,
            None if functions.len() < MAX_FUNCTIONS => functions.push((function, 1)),
            None => {}
        }
    }

    fn stats(&self) -> QueryStats {
        let latency = self.latency.summary();
        let mut functions = self.functions.lock().clone();
        functions.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        QueryStats {
            fingerprint: self.statement.fingerprint(),
            text: self.statement.text().to_owned(),
            shape: self.statement.shape(),
            count: latency.count,
            rows_returned: self.rows_returned.load(Relaxed),
            rows_affected: self.rows_affected.load(Relaxed),
            latency,
            errors: self.errors.load(Relaxed),
            first_row: self.first_row.summary(),
            functions,
        }
    }
}

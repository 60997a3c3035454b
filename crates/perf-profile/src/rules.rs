//! What a request's queries say about the code that ran them.
//!
//! Rules are pure: they see executions, in the order in which they ended, and thresholds. None of them
//! knows a value, since values are never recorded.

mod lints;
mod n_plus_one;

use crate::sql::{Fingerprint, Shape};
use perf_core::Moment;
use std::num::NonZeroU32;
use std::time::Duration;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// One query for a list, then one more for each of its rows.
    NPlusOne,
    /// One `INSERT` of one row, over and over.
    RowWiseInsert,
    /// The request waited for a connection of the pool.
    PoolWait,
    /// One query without parameters, over and over: it reads the same each time.
    IdenticalReads,
    /// A walk over pages by `OFFSET`, which reads and drops all pages before.
    OffsetWalk,
    /// A query without `LIMIT` that returned 1,000 rows or more.
    MissingLimit,
    /// `SELECT *`, which breaks on a new column and carries columns that nobody reads.
    SelectStar,
}

/// One execution of a statement within a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution {
    pub(crate) fingerprint: Fingerprint,
    /// The hash of the text with its values.
    pub(crate) text: u64,
    pub(crate) shape: Shape,
    pub(crate) started: Moment,
    pub(crate) ended: Moment,
    pub(crate) rows: u64,
    /// Whether it is known to have failed.
    pub(crate) failed: bool,
    /// The innermost profiled function that ran it.
    pub(crate) function: Option<&'static str>,
}

impl Execution {
    fn duration(&self) -> Duration {
        self.ended.since(self.started)
    }
}

/// What a rule has found in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) rule: Rule,
    pub(crate) fingerprint: Fingerprint,
    /// Executions concerned.
    pub(crate) repeats: u64,
    /// Rows that they returned.
    pub(crate) rows: u64,
    /// How long they took.
    pub(crate) time: Duration,
    /// The statement whose rows were looped over, and how many it returned.
    pub(crate) cause: Option<(Fingerprint, u64)>,
}

/// From when on something counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thresholds {
    pub(crate) repeats: NonZeroU32,
    /// What repeated lookups without a known cause must have taken.
    pub(crate) unexplained: Duration,
}

/// Everything that the rules find among one request's executions.
pub(crate) fn find(executions: &[Execution], thresholds: Thresholds) -> Vec<Observation> {
    let mut found = n_plus_one::find(executions, thresholds);
    found.extend(lints::find(executions, thresholds));
    found
}

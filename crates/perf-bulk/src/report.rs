//! What a bulk operation did.

use crate::error::BulkError;
use std::time::Duration;

/// What a bulk insert did. Rows written and rows failed add up to the input.
#[derive(Debug)]
#[non_exhaustive]
pub struct BulkReport<R> {
    /// How many rows are written and committed, or part of the caller's transaction.
    pub written: u64,
    /// The bytes of their values, without the protocol's own.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The ids of the rows written, in the order of the input; empty unless
    /// [`BulkInsert::returning_ids`](crate::BulkInsert::returning_ids) asked for them.
    pub ids: Vec<i64>,
    /// The bad rows by ascending index; empty unless [`Atomicity::BestEffort`](crate::Atomicity) was asked for.
    pub failed: Vec<FailedRow<R>>,
}

impl<R> BulkReport<R> {
    /// The mean rate; zero for an operation too short to measure.
    #[must_use]
    pub fn rows_per_second(&self) -> f64 {
        if self.elapsed.is_zero() {
            0.0
        } else {
            self.written as f64 / self.elapsed.as_secs_f64()
        }
    }
}

/// A row that the database refused.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedRow<R> {
    /// The row's index in the input, counted from 0.
    pub index: u64,
    /// The row itself.
    pub row: R,
    /// Why it was refused.
    pub error: BulkError,
}

/// What a bulk upsert did: one outcome for each row of the input, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpsertReport {
    /// What became of each row.
    pub outcomes: Vec<Upserted>,
    /// The bytes of the values sent.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl UpsertReport {
    /// How many rows ended as `outcome`.
    #[must_use]
    pub fn count(&self, outcome: Upserted) -> usize {
        self.outcomes.iter().filter(|row| **row == outcome).count()
    }
}

/// What became of one row of an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Upserted {
    /// Its key was new.
    Inserted,
    /// Its key existed, and the existing row was updated.
    Updated,
    /// Its key existed, and the existing row was to be left alone.
    Kept,
    /// Another row of the same call has its key and was preferred.
    Superseded,
}

//! Finding the bad row among good ones.
//!
//! A statement that fails undoes itself. If the database then names the row, the rows before it
//! are written again and the bad one is known, after three statements in all. If it names none, the range is
//! halved, the good half written, the other halved again, which takes ten statements for a thousand rows.
//! Looking row by row, as Spring Batch does, takes a thousand.

use super::failed::Failed;
use std::future::Future;
use std::ops::Range;

/// Rows that can be tried in parts.
pub(super) trait Attempts: Send {
    /// Writes one range, or leaves no trace of it.
    fn attempt(&mut self, range: Range<usize>) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// Writes the rows of `range` up to the first bad one, which the error names.
pub(super) async fn search(
    attempts: &mut impl Attempts,
    range: Range<usize>,
) -> Result<(), Failed> {
    let mut next = range;
    while let Some(rest) = search_once(attempts, next).await? {
        next = rest;
    }
    Ok(())
}

/// As `search`, up to a row that was bad and no longer is; what comes after it is the answer.
async fn search_once(
    attempts: &mut impl Attempts,
    range: Range<usize>,
) -> Result<Option<Range<usize>>, Failed> {
    let Err(mut failed) = attempts.attempt(range.clone()).await else {
        return Ok(None);
    };
    // A row in this range is bad, and all before it are written.
    let mut suspect = range.clone();
    while failed.blames_a_row {
        let good = match failed.at {
            Some(at) if at == suspect.start => return Err(failed),
            Some(at) => suspect.start..at,
            None => suspect.start..suspect.start + suspect.len() / 2,
        };
        match attempts.attempt(good.clone()).await {
            Ok(()) if failed.at == Some(good.end) => return Err(failed),
            Ok(()) => {
                suspect.start = good.end;
                if suspect.len() == 1 {
                    match attempts.attempt(suspect.clone()).await {
                        // What was in its way is gone.
                        Ok(()) => return Ok(Some(suspect.end..range.end)),
                        Err(other) => failed = other,
                    }
                }
            }
            Err(other) => {
                failed = other;
                suspect = good;
            }
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{BulkError, ConstraintKind};
    use proptest::prelude::*;

    /// A table that refuses some rows, and names them or not.
    struct Table {
        bad: Vec<bool>,
        names: bool,
        written: Vec<usize>,
        statements: usize,
    }

    impl Attempts for Table {
        async fn attempt(&mut self, range: Range<usize>) -> Result<(), Failed> {
            self.statements += 1;
            match range.clone().find(|row| self.bad[*row]) {
                None => {
                    self.written.extend(range);
                    Ok(())
                }
                Some(row) => {
                    let at = (self.names || range.len() == 1).then_some(row);
                    let error = BulkError::Constraint {
                        row: at.map(|at| at as u64),
                        kind: ConstraintKind::Other,
                        columns: Vec::new(),
                        source: "refused".into(),
                    };
                    Err(Failed {
                        at,
                        blames_a_row: true,
                        error,
                    })
                }
            }
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn every_good_row_is_written_once_and_every_bad_one_named(
            bad in proptest::collection::vec(proptest::bool::weighted(0.2), 0..80),
            names in any::<bool>(),
        ) {
            let mut table = Table { bad: bad.clone(), names, written: Vec::new(), statements: 0 };
            let (mut first, mut found) = (0, Vec::new());
            while let Err(failed) = block_on(search(&mut table, first..bad.len())) {
                let at = failed.at.unwrap();
                found.push(at);
                first = at + 1;
            }
            let rows = |wanted| (0..bad.len()).filter(|row| bad[*row] == wanted).collect::<Vec<_>>();
            prop_assert_eq!(found, rows(true));
            prop_assert_eq!(table.written, rows(false));
        }

        #[test]
        fn one_bad_row_in_a_thousand_is_found_in_21_statements(row in 0_usize..1_000, names in any::<bool>()) {
            let mut bad = vec![false; 1_000];
            bad[row] = true;
            let mut table = Table { bad, names, written: Vec::new(), statements: 0 };
            let failed = block_on(search(&mut table, 0..1_000)).unwrap_err();
            prop_assert_eq!(failed.at, Some(row));
            let _rest = block_on(search(&mut table, row + 1..1_000));
            prop_assert!(table.statements <= if names { 3 } else { 21 }, "{}", table.statements);
        }
    }
}

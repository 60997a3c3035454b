//! Upserts that say what became of each row.
//!
//! `ON DUPLICATE KEY UPDATE` takes any unique key for the one that is meant, and updates a row that has
//! another. So the rows that exist are looked up by their key and locked, the others inserted, and those
//! updated, in three statements for each hundred rows.

use super::cells::MySqlCells;
use super::describe;
use super::failure::Failed;
use super::round::Round;
use super::statement::fill;
use crate::backend::{Conflict, Scope, Target};
use crate::progress::Meter;
use crate::report::Upserted;
use crate::row::BulkRow;
use sqlx::MySql;

pub(super) async fn write<R: BulkRow<MySql> + Sync>(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    conflict: &Conflict,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<Upserted>, Failed> {
    let table = describe::table(scope, target).await?;
    let mut cells = MySqlCells::checked(&table.types);
    let mut outcomes = Vec::with_capacity(rows.len());
    while outcomes.len() < rows.len() {
        let first = outcomes.len();
        let (size, bad) = fill(&mut cells, target, &table, &rows[first..]);
        if let Some(failed) = bad {
            return Err(failed.offset(first));
        }
        let round = Round::new(target, conflict, &cells);
        let written = write_round(&round, scope, size).await;
        outcomes.extend(written.map_err(|failed| failed.offset(first))?);
        meter.advance(size as u64, cells.value_bytes());
    }
    Ok(outcomes)
}

async fn write_round(
    round: &Round<'_>,
    scope: &mut Scope<'_, MySql>,
    rows: usize,
) -> Result<Vec<Upserted>, Failed> {
    let mut outcomes = vec![Upserted::Inserted; rows];
    let existing = if round.conflict.update.is_empty() {
        Upserted::Kept
    } else {
        Upserted::Updated
    };
    for row in round.lock_existing(scope, rows).await? {
        outcomes[row] = existing;
    }
    let of = |wanted| {
        let rows = outcomes.iter().enumerate();
        rows.filter(|(_, outcome)| **outcome == wanted)
            .map(|(row, _)| row)
            .collect::<Vec<_>>()
    };
    round.insert(scope, &of(Upserted::Inserted)).await?;
    round.update(scope, &of(Upserted::Updated)).await?;
    Ok(outcomes)
}

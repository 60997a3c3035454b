//! Rows found by their keys, in rounds of a hundred.

use super::cells::MySqlCells;
use super::describe;
use super::failure::{Failed, writing};
use super::round::Round;
use super::statement::fill;
use crate::backend::{Conflict, Scope, Target};
use crate::progress::Meter;
use crate::row::BulkRow;
use sqlx::mysql::MySqlRow;
use sqlx::{MySql, Row};

pub(super) async fn update<R: BulkRow<MySql> + Sync>(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    conflict: &Conflict,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<bool>, Failed> {
    let mut rounds = Rounds::new(scope, target, rows).await?;
    let mut matched = vec![false; rows.len()];
    while let Some((first, size)) = rounds.next()? {
        let round = Round::new(target, conflict, &rounds.cells);
        let offset = |failed: Failed| failed.offset(first);
        let mut existing = round.lock_existing(scope, size).await.map_err(offset)?;
        existing.sort_unstable();
        existing.dedup();
        round.update(scope, &existing).await.map_err(offset)?;
        for row in existing {
            matched[first + row] = true;
        }
        meter.advance(size as u64, rounds.cells.value_bytes());
    }
    Ok(matched)
}

pub(super) async fn delete<R: BulkRow<MySql> + Sync>(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    keys: &[R],
    meter: &mut Meter<'_>,
) -> Result<Vec<bool>, Failed> {
    let conflict = all_columns(target);
    let mut rounds = Rounds::new(scope, target, keys).await?;
    let mut matched = vec![false; keys.len()];
    while let Some((first, size)) = rounds.next()? {
        let round = Round::new(target, &conflict, &rounds.cells);
        let offset = |failed: Failed| failed.offset(first);
        let existing = round.lock_existing(scope, size).await.map_err(offset)?;
        round.delete(scope, size).await.map_err(offset)?;
        for row in existing {
            matched[first + row] = true;
        }
        meter.advance(size as u64, rounds.cells.value_bytes());
    }
    Ok(matched)
}

pub(super) async fn read<R: BulkRow<MySql> + Sync>(
    scope: &mut Scope<'_, MySql>,
    target: &Target<'_>,
    keys: &[R],
) -> Result<Vec<(usize, MySqlRow)>, Failed> {
    let conflict = all_columns(target);
    let mut rounds = Rounds::new(scope, target, keys).await?;
    let mut found = Vec::new();
    while let Some((first, size)) = rounds.next()? {
        let round = Round::new(target, &conflict, &rounds.cells);
        let rows = round.read(scope, size).await;
        for row in rows.map_err(|failed| failed.offset(first))? {
            let position: i64 = row
                .try_get(row.len() - 1)
                .map_err(|error| writing(error, 0))?;
            let position = usize::try_from(position).unwrap_or(0);
            found.push((first + position, row));
        }
    }
    Ok(found)
}

fn all_columns(target: &Target<'_>) -> Conflict {
    Conflict {
        key: (0..target.columns.len()).collect(),
        update: Vec::new(),
    }
}

/// The rows that go together, one round after the other.
struct Rounds<'a, R> {
    target: &'a Target<'a>,
    table: std::sync::Arc<describe::Table>,
    cells: MySqlCells,
    rows: &'a [R],
    next: usize,
}

impl<'a, R: BulkRow<MySql> + Sync> Rounds<'a, R> {
    async fn new(
        scope: &mut Scope<'_, MySql>,
        target: &'a Target<'a>,
        rows: &'a [R],
    ) -> Result<Self, Failed> {
        let table = describe::table(scope, target).await?;
        let cells = MySqlCells::checked(&table.types);
        Ok(Self {
            target,
            table,
            cells,
            rows,
            next: 0,
        })
    }

    /// Encodes the next rows; the position of their first, and their number.
    fn next(&mut self) -> Result<Option<(usize, usize)>, Failed> {
        let first = self.next;
        if first == self.rows.len() {
            return Ok(None);
        }
        let rows = &self.rows[first..];
        match fill(&mut self.cells, self.target, &self.table, rows) {
            (_, Some(failed)) => Err(failed.offset(first)),
            (size, None) => {
                self.next += size;
                Ok(Some((first, size)))
            }
        }
    }
}

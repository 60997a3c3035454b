//! A row with a number of ours in front of its values.

use super::cells::PgCells;
use crate::error::BoxError;
use crate::row::BulkRow;
use sqlx::Postgres;

#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered<'r, R> {
    number: i64,
    row: &'r R,
}

impl<R: BulkRow<Postgres>> BulkRow<Postgres> for Numbered<'_, R> {
    const COLUMNS: &'static [&'static str] = R::COLUMNS;

    fn encode(&self, cells: &mut PgCells) -> Result<(), BoxError> {
        cells.push_integer(self.number)?;
        self.row.encode(cells)
    }
}

pub(super) fn number<R>(
    rows: &[R],
    numbers: impl IntoIterator<Item = i64>,
) -> Vec<Numbered<'_, R>> {
    let rows = rows.iter().zip(numbers);
    rows.map(|(row, number)| Numbered { number, row }).collect()
}

/// The columns of such rows.
pub(super) fn columns<'a>(first: &'a str, others: &[&'a str]) -> Vec<&'a str> {
    [&[first], others].concat()
}

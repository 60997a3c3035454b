//! Rows in the format of a binary COPY.
//!
//! Each value is written by sqlx's own `Encode`, behind a length that is filled in afterwards. Three
//! things that sqlx does after encoding, when it knows the parameters' types, are done here from the
//! columns' types: a `json` column does not take the version byte of `jsonb`, an array of a type that
//! only the database knows needs its element's identifier, and the types must agree at all. The last
//! is no detail: COPY compares nothing, and stores the eight bytes of an `i64` as those of a `float8`.

use crate::error::BoxError;
use crate::row::BulkValue;
use sqlx::encode::IsNull;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind};
use sqlx::{Encode, Postgres, Type, TypeInfo};

/// Collects rows as a binary COPY sends them.
#[derive(Debug, Default)]
pub struct PgCells {
    buffer: PgArgumentBuffer,
    columns: Vec<PgTypeInfo>,
    position: usize,
}

/// A value whose type is not its column's.
#[derive(Debug, thiserror::Error)]
#[error("the column is {expected}, the value {found}")]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
}

const NULL_LENGTH: [u8; 4] = (-1_i32).to_be_bytes();

impl PgCells {
    /// Cells that check every value against the type of its column.
    pub(super) fn checked(columns: Vec<PgTypeInfo>) -> Self {
        Self {
            columns,
            ..Self::default()
        }
    }

    /// Starts the next row.
    pub(super) fn start_row(&mut self, columns: usize) {
        self.position = 0;
        let columns = i16::try_from(columns).unwrap_or(i16::MAX); // Postgres has 1,600 at most
        self.buffer.extend(columns.to_be_bytes());
    }

    /// Appends the value of the next column.
    ///
    /// # Errors
    ///
    /// The value's type is not the column's, or sqlx cannot encode it.
    pub fn push<'q, T: Encode<'q, Postgres> + Type<Postgres>>(
        &mut self,
        value: &T,
    ) -> Result<(), BoxError> {
        let column = self.columns.get(self.position);
        if let Some(column) = column.filter(|column| !T::compatible(column)) {
            return Err(Box::new(Mismatch {
                expected: column.name().to_owned(),
                found: T::type_info().name().to_owned(),
            }));
        }
        let length_at = self.buffer.len();
        self.buffer.extend(NULL_LENGTH);
        if matches!(value.encode_by_ref(&mut self.buffer)?, IsNull::No) {
            let content = length_at + 4;
            let length = i32::try_from(self.buffer.len() - content)?;
            self.buffer[length_at..content].copy_from_slice(&length.to_be_bytes());
            if let Some(column) = column {
                adapt(&mut self.buffer[content..], column, &T::type_info());
            }
        }
        self.position += 1;
        Ok(())
    }

    /// How many values the current row has.
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Undoes the rows behind the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Forgets all rows. The buffer is replaced, because inside it sqlx lists every JSON value for a
    /// treatment that it never gets here.
    pub(super) fn clear(&mut self) {
        self.buffer = PgArgumentBuffer::default();
    }
}

/// Does what sqlx would do to an argument once it knows the type of its parameter.
fn adapt(content: &mut [u8], column: &PgTypeInfo, value: &PgTypeInfo) {
    const JSON: &str = "JSON";
    const JSONB: &str = "JSONB";
    const ELEMENT_TYPE: std::ops::Range<usize> = 8..12;
    if column.name() == JSON && value.name() == JSONB && content.first() == Some(&1) {
        content[0] = b' ';
    }
    if let PgTypeKind::Array(element) = column.kind()
        && let Some(oid) = element.oid()
        && let Some(slot) = content.get_mut(ELEMENT_TYPE)
        && *slot == [0; 4]
    {
        slot.copy_from_slice(&oid.0.to_be_bytes());
    }
}

impl<T> BulkValue<Postgres> for T
where
    T: for<'q> Encode<'q, Postgres> + Type<Postgres>,
{
    fn encode(&self, cells: &mut PgCells) -> Result<(), BoxError> {
        cells.push(self)
    }
}

/// The values in `rows`, as encoded by [`PgCells`]: row by row, `None` for NULL.
pub(super) fn values(mut rows: &[u8], columns: usize) -> impl Iterator<Item = Option<&[u8]>> {
    let mut position = 0;
    std::iter::from_fn(move || {
        if position == 0 {
            rows = rows.get(2..)?;
        }
        position = (position + 1) % columns;
        let (length, rest) = rows.split_first_chunk()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rows = rest;
            return Some(None);
        };
        let (value, rest) = rest.split_at_checked(length)?;
        rows = rest;
        Some(Some(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_out_as_they_went_in() {
        let mut cells = PgCells::default();
        for number in [7_i32, 8] {
            cells.start_row(3);
            cells.push(&number).unwrap();
            cells.push(&None::<i64>).unwrap();
            cells.push(&"").unwrap();
        }
        let found: Vec<_> = values(cells.bytes(), 3).collect();
        let numbers = [7_i32, 8].map(i32::to_be_bytes);
        let row = |position: usize| [Some(&numbers[position][..]), None, Some(&[][..])];
        assert_eq!(found, [row(0), row(1)].concat());
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let mut cells = PgCells::checked(vec![<f64 as Type<Postgres>>::type_info()]);
        cells.start_row(1);
        assert!(cells.push(&1_i64).unwrap_err().is::<Mismatch>());
        assert!(cells.push(&1.0_f64).is_ok());
    }
}

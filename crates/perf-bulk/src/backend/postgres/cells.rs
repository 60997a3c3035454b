//! Rows in the format of a binary COPY.
//!
//! Each value is written by sqlx's own `Encode`, behind a length that is filled in afterwards. Three
//! things that sqlx does after encoding, when it knows the parameters' types, are done here from the
//! columns' types: a `json` column does not take the version byte of `jsonb`, an array of a type that
//! only the database knows needs its element's identifier, and the types must agree at all. The last
//! is no detail: COPY compares nothing, and stores the eight bytes of an `i64` as those of a `float8`.

use crate::backend::failed::Mismatch;
use crate::error::BoxError;
use crate::row::BulkValue;
use serde_json::Value;
use sqlx::encode::IsNull;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind};
use sqlx::{Encode, Postgres, Type, TypeInfo};

/// Collects rows as a binary COPY sends them.
#[derive(Debug, Default)]
pub struct PgCells {
    buffer: PgArgumentBuffer,
    columns: Vec<Column>,
    position: usize,
    value_bytes: u64,
}

/// A column, and what need not be found out again for every row.
#[derive(Debug)]
struct Column {
    ty: PgTypeInfo,
    /// The address of the last `compatible` that accepted this column. Comparing types takes longer than
    /// encoding most values, and a column gets values of one type.
    accepted_by: usize,
    repair: Repair,
}

/// What sqlx would do to an argument once it knows the type of its parameter.
#[derive(Clone, Copy, Debug)]
enum Repair {
    Nothing,
    /// `json` lacks the version byte of `jsonb`, which sqlx writes for both.
    BlankVersion,
    /// The element of an array whose identifier sqlx did not know.
    Element(Oid),
}

const NULL_LENGTH: [u8; 4] = (-1_i32).to_be_bytes();

impl PgCells {
    /// Cells that check every value against the type of its column.
    pub(super) fn checked(columns: &[PgTypeInfo]) -> Self {
        let columns = columns.iter().map(|ty| Column {
            ty: ty.clone(),
            accepted_by: 0,
            repair: Repair::of(ty),
        });
        Self {
            columns: columns.collect(),
            ..Self::default()
        }
    }

    /// Starts the next row.
    pub(super) fn start_row(&mut self, columns: usize) {
        self.position = 0;
        let columns = i16::try_from(columns).unwrap_or(i16::MAX); // Postgres has 1,600 at most
        self.append(&columns.to_be_bytes());
    }

    /// Appends bytes that are no value.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
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
        let mut repair = Repair::Nothing;
        if let Some(column) = self.columns.get_mut(self.position) {
            column.accept::<T>()?;
            repair = column.repair;
        }
        let length_at = self.buffer.len();
        self.buffer.extend_from_slice(&NULL_LENGTH);
        if matches!(value.encode_by_ref(&mut self.buffer)?, IsNull::No) {
            let content = length_at + NULL_LENGTH.len();
            let length = i32::try_from(self.buffer.len() - content)?;
            self.buffer[length_at..content].copy_from_slice(&length.to_be_bytes());
            repair.apply(&mut self.buffer[content..]);
            self.value_bytes += u64::from(length.unsigned_abs());
        }
        self.position += 1;
        Ok(())
    }

    /// Appends an integer, as wide as its column is.
    pub(super) fn push_integer(&mut self, value: i64) -> Result<(), BoxError> {
        let column = self.columns.get(self.position);
        match column.map_or("INT8", |column| column.ty.name()) {
            "INT2" => self.push(&i16::try_from(value)?),
            "INT4" => self.push(&i32::try_from(value)?),
            _ => self.push(&value),
        }
    }

    /// Appends NULL, which has every type.
    pub(super) fn push_null(&mut self) {
        self.append(&NULL_LENGTH);
        self.position += 1;
    }

    /// Appends a value that is encoded already.
    pub(super) fn push_bytes(&mut self, value: &Value, bytes: &[u8]) -> Result<(), BoxError> {
        const JSONB_VERSION: u8 = 1;
        let versioned = self.column_name() == "JSONB";
        let length = i32::try_from(bytes.len() + usize::from(versioned))
            .map_err(|_| format!("{} bytes of {value}", bytes.len()))?;
        self.append(&length.to_be_bytes());
        if versioned {
            self.append(&[JSONB_VERSION]);
        }
        self.append(bytes);
        self.value_bytes += u64::from(length.unsigned_abs());
        self.position += 1;
        Ok(())
    }

    /// The name of the type of the next value's column; empty when it is not known.
    pub(super) fn column_name(&self) -> String {
        let column = self.columns.get(self.position);
        column.map_or_else(String::new, |column| column.ty.name().to_owned())
    }

    pub(super) fn column_is_enum(&self) -> bool {
        let column = self.columns.get(self.position);
        column.is_some_and(|column| matches!(column.ty.kind(), PgTypeKind::Enum(_)))
    }

    /// The error of a value that its column does not take.
    pub(super) fn mismatch(&self, found: &str) -> BoxError {
        Box::new(Mismatch {
            expected: self.column_name(),
            found: found.to_owned(),
        })
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

    /// The size of the values alone.
    pub(super) const fn value_bytes(&self) -> u64 {
        self.value_bytes
    }

    /// Undoes the rows behind the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Forgets all rows and keeps the memory. The buffer around it is replaced, because inside it sqlx
    /// lists every JSON value for a treatment that it never gets here.
    pub(super) fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut *self.buffer);
        bytes.clear();
        self.buffer = PgArgumentBuffer::default();
        *self.buffer = bytes;
        self.value_bytes = 0;
    }
}

impl Column {
    fn accept<T: Type<Postgres>>(&mut self) -> Result<(), BoxError> {
        let check: fn(&PgTypeInfo) -> bool = T::compatible;
        // Two types whose checks share an address share the check.
        if self.accepted_by == check as usize {
            return Ok(());
        }
        if !check(&self.ty) {
            return Err(Box::new(Mismatch {
                expected: self.ty.name().to_owned(),
                found: T::type_info().name().to_owned(),
            }));
        }
        self.accepted_by = check as usize;
        Ok(())
    }
}

impl Repair {
    fn of(column: &PgTypeInfo) -> Self {
        match column.kind() {
            PgTypeKind::Array(element) => element.oid().map_or(Self::Nothing, Self::Element),
            _ if column.name() == "JSON" => Self::BlankVersion,
            _ => Self::Nothing,
        }
    }

    fn apply(self, content: &mut [u8]) {
        const VERSION: u8 = 1;
        const ELEMENT_TYPE: std::ops::Range<usize> = 8..12;
        match self {
            Self::Nothing => {}
            Self::BlankVersion => {
                if let Some(first) = content.first_mut().filter(|first| **first == VERSION) {
                    *first = b' ';
                }
            }
            Self::Element(oid) => {
                let slot = content.get_mut(ELEMENT_TYPE);
                if let Some(slot) = slot.filter(|slot| **slot == [0; 4]) {
                    slot.copy_from_slice(&oid.0.to_be_bytes());
                }
            }
        }
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
pub(super) fn values(rows: &[u8], columns: usize) -> impl Iterator<Item = Option<&[u8]>> {
    cells(rows, columns).map(|cell| (cell[..4] != NULL_LENGTH).then(|| &cell[4..]))
}

/// The values in `rows`, each behind its length.
pub(super) fn cells(mut rows: &[u8], columns: usize) -> impl Iterator<Item = &[u8]> {
    let mut position = 0;
    std::iter::from_fn(move || {
        if position == 0 {
            rows = rows.get(2..)?;
        }
        position = (position + 1) % columns;
        let length = i32::from_be_bytes(*rows.first_chunk()?);
        let (cell, rest) = rows.split_at_checked(4 + usize::try_from(length).unwrap_or(0))?;
        rows = rest;
        Some(cell)
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
        let mut cells = PgCells::checked(&[<f64 as Type<Postgres>>::type_info()]);
        cells.start_row(1);
        assert!(cells.push(&1_i64).unwrap_err().is::<Mismatch>());
        assert!(cells.push(&1.0_f64).is_ok());
    }
}

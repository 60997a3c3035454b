//! Rows as the parameters of prepared statements.

use crate::backend::failed::Mismatch;
use crate::error::BoxError;
use crate::row::BulkValue;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlArguments, MySqlTypeInfo};
use sqlx::{Arguments, Encode, MySql, Type, TypeInfo};

/// Collects the values of rows as the protocol sends them.
#[derive(Debug, Default)]
pub struct MySqlCells {
    buffer: Vec<u8>,
    cells: Vec<Cell>,
    columns: Vec<Column>,
    row_start: usize,
}

#[derive(Debug)]
struct Cell {
    start: usize,
    is_null: bool,
    ty: MySqlTypeInfo,
}

/// A column, and the address of the last check that accepted it: a column gets values of one type.
#[derive(Debug)]
struct Column {
    ty: MySqlTypeInfo,
    accepted_by: usize,
}

const TIMESTAMP: &str = "TIMESTAMP";
const DATETIME: &str = "DATETIME";

impl MySqlCells {
    /// Cells that check every value against the type of its column.
    pub(super) fn checked(columns: &[MySqlTypeInfo]) -> Self {
        let columns = columns.iter().map(|ty| Column {
            ty: ty.clone(),
            accepted_by: 0,
        });
        Self {
            columns: columns.collect(),
            ..Self::default()
        }
    }

    pub(super) fn start_row(&mut self) {
        self.row_start = self.cells.len();
    }

    /// Appends the value of the next column.
    ///
    /// # Errors
    ///
    /// The value's type is not the column's, or sqlx cannot encode it.
    pub fn push<'q, T: Encode<'q, MySql> + Type<MySql>>(
        &mut self,
        value: &T,
    ) -> Result<(), BoxError> {
        let position = self.position();
        let mut ty = value.produces().unwrap_or_else(T::type_info);
        if let Some(column) = self.columns.get_mut(position) {
            column.accept::<T>()?;
            // Sent as a TIMESTAMP, what is later than 2038 would be stored as NULL. The bytes are the same.
            if ty.name() == TIMESTAMP && column.ty.name() == DATETIME {
                ty = column.ty.clone();
            }
        }
        let start = self.buffer.len();
        let is_null = value.encode_by_ref(&mut self.buffer)?.is_null();
        self.cells.push(Cell { start, is_null, ty });
        Ok(())
    }

    /// Appends NULL, which has every type.
    pub(super) fn push_null(&mut self) -> Result<(), BoxError> {
        self.cells.push(Cell {
            start: self.buffer.len(),
            is_null: true,
            ty: <i64 as Type<MySql>>::type_info(),
        });
        Ok(())
    }

    /// Whether the type of the next value's column is such a one.
    pub(super) fn column_is(&self, is: impl Fn(&str) -> bool) -> bool {
        let column = self.columns.get(self.position());
        column.is_some_and(|column| is(column.ty.name()))
    }

    /// How many values the current row has.
    pub(super) const fn position(&self) -> usize {
        self.cells.len() - self.row_start
    }

    /// The size of all values.
    pub(super) const fn value_bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Forgets the current row.
    pub(super) fn undo_row(&mut self) {
        if let Some(cell) = self.cells.get(self.row_start) {
            self.buffer.truncate(cell.start);
        }
        self.cells.truncate(self.row_start);
    }

    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.cells.clear();
        self.row_start = 0;
    }

    /// The bytes of a value, counted through all rows; `None` for NULL.
    pub(super) fn value(&self, index: usize) -> Option<&[u8]> {
        let cell = &self.cells[index];
        let end = self.cells.get(index + 1).map(|next| next.start);
        (!cell.is_null).then(|| &self.buffer[cell.start..end.unwrap_or(self.buffer.len())])
    }

    /// Adds a value to the arguments of a statement.
    pub(super) fn bind(
        &self,
        index: usize,
        arguments: &mut MySqlArguments,
    ) -> Result<(), BoxDynError> {
        arguments.add(Raw {
            value: self.value(index),
            ty: &self.cells[index].ty,
        })
    }
}

impl Column {
    fn accept<T: Type<MySql>>(&mut self) -> Result<(), BoxError> {
        let check: fn(&MySqlTypeInfo) -> bool = T::compatible;
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

impl<T> BulkValue<MySql> for T
where
    T: for<'q> Encode<'q, MySql> + Type<MySql>,
{
    fn encode(&self, cells: &mut MySqlCells) -> Result<(), BoxError> {
        cells.push(self)
    }
}

/// A value that is encoded already.
struct Raw<'v> {
    value: Option<&'v [u8]>,
    ty: &'v MySqlTypeInfo,
}

impl Type<MySql> for Raw<'_> {
    /// Never used: every value names its own.
    fn type_info() -> MySqlTypeInfo {
        <i64 as Type<MySql>>::type_info()
    }
}

impl Encode<'_, MySql> for Raw<'_> {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        let Some(value) = self.value else {
            return Ok(IsNull::Yes);
        };
        buffer.extend_from_slice(value);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<MySqlTypeInfo> {
        Some(self.ty.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_out_as_they_went_in() {
        let mut cells = MySqlCells::default();
        cells.start_row();
        cells.push(&7_i32).unwrap();
        cells.push(&None::<i64>).unwrap();
        cells.push(&"é").unwrap();
        assert_eq!(cells.position(), 3);
        assert_eq!(cells.value(0), Some(&[7, 0, 0, 0][..]));
        assert_eq!(cells.value(1), None);
        assert_eq!(cells.value(2), Some(&[2, 0xc3, 0xa9][..]));
        cells.start_row();
        cells.push(&1_u8).unwrap();
        cells.undo_row();
        assert_eq!((cells.position(), cells.value_bytes()), (0, 7));
    }
}

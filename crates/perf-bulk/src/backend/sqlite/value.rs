//! How Rust values become SQLite's five.

use crate::backend::driver_error;
use crate::error::{BoxError, BulkError};
use crate::row::BulkValue;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Sqlite};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

/// A value as SQLite stores it, borrowed from the row where that is possible.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SqliteValue<'r> {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// REAL. SQLite turns a NaN into NULL, so the encoders refuse it.
    Real(f64),
    /// TEXT.
    Text(Cow<'r, str>),
    /// BLOB.
    Blob(Cow<'r, [u8]>),
}

impl SqliteValue<'_> {
    /// The size in bytes: 8 for a number, the length for text and blobs, 0 for NULL.
    fn bytes(&self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len() as u64,
            Self::Blob(blob) => blob.len() as u64,
        }
    }

    /// Appends a form in which equal values, and only those, are equal. A REAL without a fraction
    /// equals the INTEGER, as it does in SQLite's indexes.
    pub(super) fn append_to_key(&self, key: &mut Vec<u8>) {
        let (tag, bytes): (u8, &[u8]) = match self {
            Self::Null => (0, &[]),
            Self::Integer(number) => (1, &number.to_ne_bytes()),
            Self::Real(number) => match whole(*number) {
                Some(whole) => (1, &whole.to_ne_bytes()),
                None => (2, &number.to_ne_bytes()),
            },
            Self::Text(text) => (3, text.as_bytes()),
            Self::Blob(blob) => (4, blob),
        };
        key.push(tag);
        key.extend((bytes.len() as u64).to_ne_bytes());
        key.extend(bytes);
    }
}

/// The integer that `number` equals exactly.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let fits = number.trunc() == number && (-LIMIT..LIMIT).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be whole and in range"
    )]
    fits.then_some(number as i64)
}

/// Collects the values of one row.
#[derive(Debug, Default)]
pub struct SqliteCells<'r> {
    values: Vec<SqliteValue<'r>>,
    bytes: u64,
}

impl<'r> SqliteCells<'r> {
    /// Appends the value of the next column.
    pub fn push(&mut self, value: SqliteValue<'r>) {
        self.bytes += value.bytes();
        self.values.push(value);
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.bytes = 0;
    }

    pub(super) fn values(&self) -> &[SqliteValue<'r>] {
        &self.values
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Adds values to the arguments of a statement that sqlx runs.
pub(super) fn bind(
    values: &[SqliteValue<'_>],
    arguments: &mut SqliteArguments,
) -> Result<(), BulkError> {
    for value in values {
        let added = match value {
            SqliteValue::Null => arguments.add(None::<i64>),
            SqliteValue::Integer(number) => arguments.add(*number),
            SqliteValue::Real(number) => arguments.add(*number),
            SqliteValue::Text(text) => arguments.add(text.clone().into_owned()),
            SqliteValue::Blob(blob) => arguments.add(blob.clone().into_owned()),
        };
        added.map_err(|source| driver_error(sqlx::Error::Encode(source)))?;
    }
    Ok(())
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl BulkValue<Sqlite> for $integer {
            fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
                cells.push(SqliteValue::Integer(i64::try_from(*self)?));
                Ok(())
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl BulkValue<Sqlite> for bool {
    fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
        cells.push(SqliteValue::Integer(i64::from(*self)));
        Ok(())
    }
}

macro_rules! reals {
    ($($real:ty),*) => {$(
        impl BulkValue<Sqlite> for $real {
            fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
                if self.is_nan() {
                    return Err("SQLite would store NaN as NULL".into());
                }
                cells.push(SqliteValue::Real(f64::from(*self)));
                Ok(())
            }
        }
    )*};
}

reals!(f32, f64);

impl BulkValue<Sqlite> for str {
    fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
        cells.push(SqliteValue::Text(Cow::Borrowed(self)));
        Ok(())
    }
}

impl BulkValue<Sqlite> for [u8] {
    fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
        cells.push(SqliteValue::Blob(Cow::Borrowed(self)));
        Ok(())
    }
}

/// JSON text, as SQLite's JSON functions read it.
impl BulkValue<Sqlite> for serde_json::Value {
    fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
        cells.push(SqliteValue::Text(Cow::Owned(self.to_string())));
        Ok(())
    }
}

impl<T: BulkValue<Sqlite>> BulkValue<Sqlite> for Option<T> {
    fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
        match self {
            Some(value) => value.encode(cells),
            None => {
                cells.push(SqliteValue::Null);
                Ok(())
            }
        }
    }
}

macro_rules! delegates {
    ($([$($generics:tt)*] $outer:ty => $inner:ty),* $(,)?) => {$(
        impl<$($generics)*> BulkValue<Sqlite> for $outer {
            fn encode<'r>(&'r self, cells: &mut SqliteCells<'r>) -> Result<(), BoxError> {
                <$inner as BulkValue<Sqlite>>::encode(self, cells)
            }
        }
    )*};
}

delegates! {
    [] String => str,
    [] Vec<u8> => [u8],
    [const N: usize] [u8; N] => [u8],
    [T: BulkValue<Sqlite> + ?Sized] &T => T,
    [T: BulkValue<Sqlite> + ?Sized] Box<T> => T,
    [T: BulkValue<Sqlite> + ?Sized] Rc<T> => T,
    [T: BulkValue<Sqlite> + ?Sized] Arc<T> => T,
    [T: BulkValue<Sqlite> + ToOwned + ?Sized] Cow<'_, T> => T,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(value: &SqliteValue<'_>) -> Vec<u8> {
        let mut key = Vec::new();
        value.append_to_key(&mut key);
        key
    }

    proptest! {
        #[test]
        fn whole_reals_are_the_integers_they_equal(number in any::<i32>()) {
            let number = i64::from(number);
            let real = SqliteValue::Real(number as f64);
            prop_assert_eq!(key(&real), key(&SqliteValue::Integer(number)));
            let next = SqliteValue::Integer(number + 1);
            prop_assert_ne!(key(&real), key(&next));
        }
    }

    #[test]
    fn values_of_different_storage_are_different_keys() {
        let values = [
            SqliteValue::Null,
            SqliteValue::Integer(49),
            SqliteValue::Real(49.5),
            SqliteValue::Text("1".into()),
            SqliteValue::Blob(b"1".into()),
            SqliteValue::Real(1e300),
            SqliteValue::Real(f64::INFINITY),
        ];
        for (position, value) in values.iter().enumerate() {
            assert!(
                values[..position]
                    .iter()
                    .all(|other| key(other) != key(value))
            );
        }
    }

    #[test]
    fn what_sqlite_cannot_hold_is_refused() {
        let mut cells = SqliteCells::default();
        assert!(BulkValue::<Sqlite>::encode(&f64::NAN, &mut cells).is_err());
        assert!(BulkValue::<Sqlite>::encode(&f32::NAN, &mut cells).is_err());
        assert!(BulkValue::<Sqlite>::encode(&u64::MAX, &mut cells).is_err());
        assert!(cells.values().is_empty());
    }
}

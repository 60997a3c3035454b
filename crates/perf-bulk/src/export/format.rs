#[cfg(feature = "csv")]
mod csv;
mod ndjson;

use crate::error::BoxError;
use serde::Serialize;

#[cfg(feature = "csv")]
pub use csv::Csv;
pub use ndjson::Ndjson;

/// How a row becomes bytes.
pub trait Format {
    /// Appends a row.
    ///
    /// # Errors
    ///
    /// When the row has no form in this format. `bytes` may then hold a part of it.
    fn row<T: Serialize>(&mut self, row: &T, bytes: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Appends the record that says how many rows there were.
    fn end(&mut self, rows: u64, bytes: &mut Vec<u8>);

    /// Appends what must stand there even if there are no rows; by default nothing.
    fn begin(&mut self, bytes: &mut Vec<u8>) {
        let _nothing = bytes;
    }
}

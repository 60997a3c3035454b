//! Rows to bytes, in bounded memory.
//!
//! An [`Export`] turns a stream of rows into chunks of NDJSON or CSV, compressed if asked for. It draws a
//! row when it needs one, so a slow reader slows the query down, and it holds one chunk, whatever the number
//! of rows.
//!
//! A file that was cut off looks like one that is short. So an export that fails ends with an error and not
//! with an end: an HTTP body breaks off, a gzip stream lacks its trailer. For readers that see neither, the
//! last line can say how many rows there were ([`Export::with_end_record`]).

mod format;
#[cfg(feature = "gzip")]
mod gzip;
mod packing;
mod stream;

use crate::error::{BoxError, ExportError};
use futures_core::Stream;
use futures_util::StreamExt;
use packing::{Packing, Plain};
use serde::Serialize;
use std::fmt;
use std::pin::pin;
use tokio::io::{AsyncWrite, AsyncWriteExt};

#[cfg(feature = "csv")]
pub use format::Csv;
pub use format::{Format, Ndjson};
pub use stream::Exported;

/// Writes rows in one format.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::stream;
/// use perf_bulk::Export;
/// use serde::Serialize;
/// use std::io::Error;
///
/// #[derive(Serialize)]
/// struct Plane {
///     tailnum: &'static str,
///     seats: Option<u16>,
/// }
///
/// let planes = [("N10156", Some(55)), ("N102UW", None)];
/// let planes = planes.map(|(tailnum, seats)| Ok::<_, Error>(Plane { tailnum, seats }));
/// let mut file = Vec::new();
/// let report = Export::ndjson()
///     .with_end_record()
///     .write_to(&mut file, stream::iter(planes))
///     .await?;
///
/// assert_eq!(report.rows, 2);
/// let lines = [
///     r#"{"tailnum":"N10156","seats":55}"#,
///     r#"{"tailnum":"N102UW","seats":null}"#,
///     r#"{"end":{"rows":2}}"#,
/// ];
/// assert_eq!(String::from_utf8(file)?.lines().collect::<Vec<_>>(), lines);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Export<F> {
    format: F,
    packing: Box<dyn Packing>,
    chunk_bytes: usize,
    has_end_record: bool,
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// How many rows.
    pub rows: u64,
    /// How many bytes, after compression.
    pub bytes: u64,
}

impl Export<Ndjson> {
    /// One JSON object a line.
    pub fn ndjson() -> Self {
        Self::new(Ndjson)
    }
}

impl<F> Export<F> {
    /// A format of one's own.
    pub fn new(format: F) -> Self {
        Self {
            format,
            packing: Box::new(Plain::default()),
            chunk_bytes: 64 << 10,
            has_end_record: false,
        }
    }

    /// The least bytes of a chunk, but for the last; default 64 KiB. A chunk exceeds it by at most a row.
    pub const fn chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    /// Ends with a line that says how many rows there were: `{"end":{"rows":2}}` in NDJSON, `#end,2` in CSV.
    /// A reader that does not find it has not got them all.
    pub const fn with_end_record(mut self) -> Self {
        self.has_end_record = true;
        self
    }

    /// The chunks, as a body of a response for instance.
    pub fn stream<S, T, E>(self, rows: S) -> Exported<S, F>
    where
        F: Format,
        S: Stream<Item = Result<T, E>>,
        T: Serialize,
        E: Into<BoxError>,
    {
        Exported::new(self, rows)
    }

    /// Writes all rows and flushes.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: the rows ended with one, one could not be encoded, or the writer failed. What is
    /// written then lacks its end.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, the output lacks its end.
    pub async fn write_to<W, S, T, E>(
        self,
        writer: &mut W,
        rows: S,
    ) -> Result<ExportReport, ExportError>
    where
        F: Format,
        W: AsyncWrite + Unpin,
        S: Stream<Item = Result<T, E>>,
        T: Serialize,
        E: Into<BoxError>,
    {
        let mut chunks = pin!(self.stream(rows));
        let mut bytes = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            writer.write_all(&chunk).await.map_err(ExportError::Write)?;
            bytes += chunk.len() as u64;
        }
        writer.flush().await.map_err(ExportError::Write)?;
        let rows = chunks.rows();
        Ok(ExportReport { rows, bytes })
    }
}

impl<F> fmt::Debug for Export<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("chunk_bytes", &self.chunk_bytes)
            .field("has_end_record", &self.has_end_record)
            .finish_non_exhaustive()
    }
}

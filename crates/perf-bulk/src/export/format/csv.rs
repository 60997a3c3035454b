use super::Format;
use crate::Export;
use crate::error::BoxError;
use csv::{Writer, WriterBuilder};
use parking_lot::Mutex;
use serde::Serialize;
use std::io;
use std::sync::Arc;

/// Comma-separated values as RFC 4180 has them, with a header of the fields' names. NULL is an empty
/// field.
#[derive(Debug)]
pub struct Csv {
    writer: Writer<Shelf>,
    shelf: Shelf,
    header: Vec<String>,
}

/// Where the writer leaves its bytes: it has no way to take them out.
#[derive(Clone, Debug, Default)]
struct Shelf(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Csv {
    fn new(header: Vec<String>) -> Self {
        let shelf = Shelf::default();
        let writer = WriterBuilder::new()
            .has_headers(header.is_empty())
            .from_writer(shelf.clone());
        Self {
            writer,
            shelf,
            header,
        }
    }

    fn hand_over(&mut self, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        self.writer.flush()?;
        bytes.append(&mut self.shelf.0.lock());
        Ok(())
    }
}

impl Export<Csv> {
    /// Comma-separated values, headed by the names of the first row's fields. Without rows there is no
    /// header.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::stream;
    /// use perf_bulk::Export;
    ///
    /// let rows = [("N10156", Some(55)), ("say \"N\", twice", None)];
    /// let rows = rows.map(Ok::<_, std::io::Error>);
    /// let mut file = Vec::new();
    /// let export = Export::csv_with_header(["tailnum", "seats"]);
    /// export.write_to(&mut file, stream::iter(rows)).await?;
    /// assert_eq!(file, b"tailnum,seats\nN10156,55\n\"say \"\"N\"\", twice\",\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn csv() -> Self {
        Self::new(Csv::new(Vec::new()))
    }

    /// Comma-separated values with a header of these names, also if there are no rows.
    pub fn csv_with_header(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Csv::new(names.into_iter().map(Into::into).collect()))
    }
}

impl Format for Csv {
    fn begin(&mut self, bytes: &mut Vec<u8>) {
        if !self.header.is_empty() {
            // The shelf takes everything, so writing cannot fail.
            let _written = self.writer.write_record(&self.header);
            let _handed_over = self.hand_over(bytes);
        }
    }

    fn row<T: Serialize>(&mut self, row: &T, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        self.writer.serialize(row)?;
        self.hand_over(bytes)
    }

    fn end(&mut self, rows: u64, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(format!("#end,{rows}\n").as_bytes());
    }
}

use super::packing::Packing;
use super::{Export, Format};
use crate::error::{BoxError, ExportError};
use futures_core::Stream;
use pin_project_lite::pin_project;
use serde::Serialize;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The stream of [`Export::stream`]: chunks of bytes. After an error it has ended.
    pub struct Exported<S, F> {
        #[pin]
        rows: S,
        writer: Writer<F>,
        chunk_bytes: usize,
        has_end_record: bool,
        is_over: bool,
    }
}

/// Encodes and packs, and counts.
struct Writer<F> {
    format: F,
    packing: Box<dyn Packing>,
    encoded: Vec<u8>,
    /// How many encoded bytes are packed at once.
    pack_bytes: usize,
    count: u64,
    has_begun: bool,
}

/// The most encoded bytes that wait to be packed.
const PACK_BYTES: usize = 16 << 10;

impl<S, F> Exported<S, F> {
    pub(super) fn new(export: Export<F>, rows: S) -> Self {
        let chunk_bytes = export.chunk_bytes.max(1);
        Self {
            rows,
            writer: Writer {
                format: export.format,
                packing: export.packing,
                encoded: Vec::new(),
                pack_bytes: chunk_bytes.min(PACK_BYTES),
                count: 0,
                has_begun: false,
            },
            chunk_bytes,
            has_end_record: export.has_end_record,
            is_over: false,
        }
    }

    /// How many rows were drawn so far.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.writer.count
    }
}

impl<F: Format> Writer<F> {
    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            self.format.begin(&mut self.encoded);
        }
    }

    fn row<T: Serialize>(&mut self, row: &T) -> Result<(), ExportError> {
        let encoded = self.format.row(row, &mut self.encoded);
        encoded.map_err(|source| ExportError::Encode {
            row: self.count,
            source,
        })?;
        self.count += 1;
        if self.encoded.len() >= self.pack_bytes {
            self.pack()?;
        }
        Ok(())
    }

    fn pack(&mut self) -> Result<(), ExportError> {
        self.packing
            .pack(&mut self.encoded)
            .map_err(ExportError::Write)
    }

    fn end(&mut self, has_end_record: bool) -> Result<(), ExportError> {
        if has_end_record {
            self.format.end(self.count, &mut self.encoded);
        }
        self.pack()?;
        self.packing.finish().map_err(ExportError::Write)
    }
}

impl<S, F, T, E> Stream for Exported<S, F>
where
    F: Format,
    S: Stream<Item = Result<T, E>>,
    T: Serialize,
    E: Into<BoxError>,
{
    type Item = Result<Vec<u8>, ExportError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if *this.is_over {
            return Poll::Ready(None);
        }
        this.writer.begin();
        while this.writer.packing.packed().len() < *this.chunk_bytes {
            let written = match ready!(this.rows.as_mut().poll_next(context)) {
                Some(Ok(row)) => this.writer.row(&row),
                Some(Err(error)) => Err(ExportError::Rows {
                    rows: this.writer.count,
                    source: error.into(),
                }),
                None => {
                    *this.is_over = true;
                    this.writer.end(*this.has_end_record)
                }
            };
            if let Err(error) = written {
                *this.is_over = true;
                return Poll::Ready(Some(Err(error)));
            }
            if *this.is_over {
                break;
            }
        }
        let chunk = std::mem::take(this.writer.packing.packed());
        if chunk.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(chunk)))
    }
}

impl<S, F> fmt::Debug for Exported<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exported")
            .field("rows", &self.writer.count)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

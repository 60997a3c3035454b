//! Everything, as lines of JSON, that can be cut off anywhere and continued.
//!
//! A download that ends early looks like one that is complete, unless its end says so. Here each line is a
//! row, but for three kinds that have a single member; a row that begins with `{"$` is refused:
//!
//! | line | meaning |
//! |---|---|
//! | `{"$checkpoint":{"rows":1000,"cursor":"…"}}` | so many rows precede, and the cursor leads on from here |
//! | `{"$end":{"rows":2500}}` | this is all; nothing follows |
//! | `{"$error":{"rows":1700,"transient":true}}` | the export failed here; nothing follows |
//!
//! Whoever has a file without its end reads it with [`Recovery`], cuts it to [`Recovery::length`] and appends the
//! export that [`Export::resume`] continues at the checkpoint: if the rows and the cursors' key are the same, the
//! result is byte for byte what an unbroken export would have been. Compressed, each stretch up to a checkpoint is
//! a gzip member of its own, so that holds there too.

mod arriving;
mod encoder;
#[cfg(feature = "gzip")]
mod gzip;
mod recovery;

use crate::cursor::Cursor;
use crate::error::Error;
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::request::PageRequest;
use crate::source::PageSource;
use crate::value::Value;
use arriving::{Arriving, Group};
use bytes::Bytes;
use encoder::{Encoder, Verbatim};
use futures_core::Stream;
use serde::Serialize;
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use recovery::Recovery;

/// A place in an export from which it can be continued.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Rows that precede it.
    pub rows: u64,
    /// Leads to the rows that follow.
    pub cursor: Cursor,
}

/// A line that is no row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Record {
    #[serde(rename = "$checkpoint")]
    Checkpoint(Checkpoint),
    #[serde(rename = "$end")]
    End { rows: u64 },
    #[serde(rename = "$error")]
    Error { rows: u64, transient: bool },
}

/// All rows of a query as lines of JSON; made by [`Paginator::export`].
///
/// Yields a piece for each 64 KiB, and at the end of each batch. Memory holds little more than a piece, whatever a
/// batch has; of a source without a [`PageSource::each`] of its own, up to 10,000 rows besides. After an error it
/// yields the line that says so, then the error, and ends.
pub struct Export<S: PageSource> {
    paginator: Paginator<S>,
    request: PageRequest,
    start: Option<Vec<Value>>,
    batch: NonZeroU32,
    /// `None` before the first row is asked for.
    arriving: Option<Arriving<S::Item>>,
    encoder: Box<dyn Encoder>,
    every: NonZeroU64,
    rows: u64,
    failed: Option<Error>,
    ended: bool,
}

/// How records begin, and no row.
const RECORD: &[u8] = b"{\"$";
/// Rows of a statement: so many that its beginning does not count. With 10,000 an export took a tenth to a third longer.
const BATCH: NonZeroU32 = NonZeroU32::new(100_000).expect("not zero");
/// Bytes of a piece, about.
const PIECE: usize = 64 << 10;
/// Rows between checkpoints.
const EVERY: NonZeroU64 = NonZeroU64::new(1_000).expect("not zero");

impl<S: PageSource<Item: Serialize>> Paginator<S> {
    /// Every row of a query as lines of JSON, for a response's body or a file.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::TryStreamExt as _;
    /// use perf_paginate::{Field, PageQuery, Paginator, Recovery, Schema, Signed, SliceSource};
    ///
    /// let schema = Schema::builder("n").field(Field::new("n", |n: &i64| *n).sortable()).key(["n"]).build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, vec![1, 3, 2]), Signed::new(&[7; 32])?);
    /// let all = PageQuery::new().sort("-n");
    ///
    /// let whole = paginator.export(&all)?.checkpoint_every(2.try_into()?).try_collect::<Vec<_>>().await?.concat();
    /// assert!(whole.starts_with(b"3\n2\n{\"$checkpoint\":{\"rows\":2,"));
    /// assert!(whole.ends_with(b"}}\n1\n{\"$end\":{\"rows\":3}}\n"));
    ///
    /// // A copy that lost its end is found out and continued.
    /// let mut copy = whole[..whole.len() - 5].to_vec();
    /// let found = Recovery::read(copy.as_slice())?;
    /// assert!(!found.is_complete);
    /// copy.truncate(found.length.try_into()?);
    /// let export = paginator.export(&all)?.checkpoint_every(2.try_into()?);
    /// let rest = export.resume(&found.checkpoint.ok_or("after two rows")?)?;
    /// copy.extend(rest.try_collect::<Vec<_>>().await?.concat());
    /// assert_eq!(copy, whole);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Paginator::pages`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the stream leaves nothing behind; what was yielded can be continued.
    pub fn export(&self, query: &PageQuery) -> Result<Export<S>, Error> {
        let (request, start) = self.check_all(query)?;
        Ok(Export {
            paginator: self.clone(),
            request,
            start,
            batch: BATCH,
            arriving: None,
            encoder: Box::new(Verbatim::default()),
            every: EVERY,
            rows: 0,
            failed: None,
            ended: false,
        })
    }
}

impl<S: PageSource> Export<S> {
    /// Reads so many rows with one statement; 100,000 unless told otherwise.
    ///
    /// A statement keeps its connection while its rows are read: with a reader that may be slow, a smaller batch gives it
    /// back more often.
    #[must_use]
    pub fn batch(self, rows: NonZeroU32) -> Self {
        Self {
            batch: rows,
            ..self
        }
    }

    /// Writes a checkpoint after every so many rows; 1,000 unless told otherwise. A row whose sort values exceed a
    /// cursor has none after it.
    #[must_use]
    pub fn checkpoint_every(self, rows: NonZeroU64) -> Self {
        Self {
            every: rows,
            ..self
        }
    }

    /// Begins after a checkpoint of an export of the same query.
    ///
    /// # Errors
    ///
    /// That the checkpoint's cursor is invalid or of another query; [`Error::status`] is 400.
    pub fn resume(self, checkpoint: &Checkpoint) -> Result<Self, Error> {
        Ok(Self {
            start: Some(self.paginator.place(&self.request, &checkpoint.cursor)?),
            rows: checkpoint.rows,
            ..self
        })
    }

    fn record(&mut self, record: &Record) -> Result<(), Error> {
        self.encoder
            .line(&|line| serde_json::to_writer(line, record))?;
        self.encoder.finish_member()
    }

    fn checkpoint(&mut self, row: &S::Item) -> Result<(), Error> {
        match self.paginator.cursor_after(&self.request, row) {
            Some(cursor) => self.record(&Record::Checkpoint(Checkpoint {
                rows: self.rows,
                cursor,
            })),
            None => Ok(()),
        }
    }

    fn piece(&mut self) -> Bytes {
        self.encoder.take().into()
    }
}

impl<S: PageSource<Item: Serialize>> Export<S> {
    /// Writes rows; whether a piece is complete with them.
    fn group(&mut self, group: &Group<S::Item>) -> Result<bool, Error> {
        for row in &group.rows {
            self.encoder.line(&|line| write_row(line, row))?;
            self.rows += 1;
            if self.rows.is_multiple_of(self.every.get()) {
                self.checkpoint(row)?;
            }
        }
        Ok(group.ends_batch || self.encoder.ready() >= PIECE)
    }

    fn arriving(&mut self) -> &mut Arriving<S::Item> {
        let Self {
            paginator,
            request,
            start,
            batch,
            ..
        } = self;
        self.arriving.get_or_insert_with(|| {
            Arriving::new(paginator.clone(), request.clone(), start.take(), *batch)
        })
    }

    /// The last piece before `error`.
    fn fail(&mut self, error: Error) -> Result<Bytes, Error> {
        let record = Record::Error {
            rows: self.rows,
            transient: error.is_transient(),
        };
        self.ended = true;
        // The statement may have more rows; nobody reads them.
        self.arriving = None;
        match self.record(&record) {
            Ok(()) => {
                self.failed = Some(error);
                Ok(self.piece())
            }
            Err(_) => Err(error),
        }
    }
}

/// Writes a row, unless it could be taken for a record: keys that come from outside must not end an export.
fn write_row(line: &mut Vec<u8>, row: &impl Serialize) -> serde_json::Result<()> {
    let start = line.len();
    serde_json::to_writer(&mut *line, row)?;
    if line[start..].starts_with(RECORD) {
        return Err(serde::ser::Error::custom("a row that begins as a record"));
    }
    Ok(())
}

impl<S: PageSource<Item: Serialize>> Stream for Export<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let written = match ready!(self.arriving().poll_next(context)) {
                Some(group) => group.and_then(|group| self.group(&group)),
                None => {
                    self.ended = true;
                    let rows = self.rows;
                    self.record(&Record::End { rows }).map(|()| true)
                }
            };
            let is_whole = match written {
                Ok(is_whole) => is_whole,
                Err(error) => return Poll::Ready(Some(self.fail(error))),
            };
            // A compressor may keep a whole batch back.
            if is_whole && self.encoder.ready() > 0 {
                return Poll::Ready(Some(Ok(self.piece())));
            }
        }
    }
}

/// Nothing in it is pinned: what reads has a box of its own.
impl<S: PageSource> Unpin for Export<S> {}

impl<S: PageSource + fmt::Debug> fmt::Debug for Export<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("paginator", &self.paginator)
            .field("request", &self.request)
            .field("batch", &self.batch)
            .field("every", &self.every)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

use crate::backend::{Backend, Rejection, Scope, Target};
use crate::chunk::{Input, meanwhile};
use crate::error::BulkError;
use crate::progress::Meter;
use crate::report::{BulkReport, FailedRow};
use crate::retry::Retry;
use crate::row::BulkRow;

/// One insert under way.
pub(super) struct Run<'a, R> {
    pub(super) target: Target<'a>,
    /// The column that ids are wanted from.
    pub(super) id: Option<&'a str>,
    pub(super) best_effort: bool,
    /// How many rows may be set aside.
    pub(super) max_refused: usize,
    pub(super) retry: Retry,
    pub(super) meter: Meter<'a>,
    /// The ids of rows that are settled.
    pub(super) ids: Vec<i64>,
    /// Rows that are committed or set aside.
    pub(super) settled: u64,
    pub(super) failed: Vec<FailedRow<R>>,
}

/// What stopped a transaction, and whether it had more chunks than the one that can be repeated.
struct Stopped {
    error: BulkError,
    beyond_first: bool,
}

impl<R: Send + Sync> Run<'_, R> {
    /// Writes everything in one transaction.
    pub(super) async fn all<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        input: &mut impl Input<Row = R>,
        first: Vec<R>,
    ) -> Result<(), BulkError>
    where
        R: BulkRow<B>,
    {
        let mut retries = self.retry.begin(B::depth(connection) > 0);
        loop {
            let before = self.meter.position();
            let Err(stopped) = self.try_all::<B>(connection, input, &first).await else {
                return Ok(());
            };
            if stopped.beyond_first || !retries.again(&stopped.error).await {
                return Err(stopped.error);
            }
            self.meter.return_to(before);
        }
    }

    async fn try_all<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        input: &mut impl Input<Row = R>,
        first: &[R],
    ) -> Result<(), Stopped>
    where
        R: BulkRow<B>,
    {
        let stopped = |beyond_first| {
            move |error| Stopped {
                error,
                beyond_first,
            }
        };
        let mut scope = B::begin(connection).await.map_err(stopped(false))?;
        let mut ids = Vec::new();
        meanwhile(self.write::<B>(&mut scope, first, &mut ids), input)
            .await
            .map_err(|rejection| stopped(false)(rejection.error))?;
        let mut sent = first.len() as u64;
        let mut chunk = input.next_chunk().await;
        let beyond_first = !chunk.is_empty();
        while !chunk.is_empty() {
            meanwhile(self.write::<B>(&mut scope, &chunk, &mut ids), input)
                .await
                .map_err(|rejection| stopped(true)(rejection.error.offset_row(sent)))?;
            sent += chunk.len() as u64;
            chunk = input.next_chunk().await;
        }
        if let Some(source) = input.failure() {
            return Err(stopped(true)(BulkError::Input { rows: sent, source }));
        }
        B::commit(scope).await.map_err(stopped(beyond_first))?;
        self.settled = sent;
        self.ids = ids;
        Ok(())
    }

    /// Writes each chunk in a transaction of its own.
    pub(super) async fn by_chunk<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        input: &mut impl Input<Row = R>,
        mut chunk: Vec<R>,
    ) -> Result<(), BulkError>
    where
        R: BulkRow<B>,
    {
        while !chunk.is_empty() {
            meanwhile(self.chunk::<B>(connection, chunk), input).await?;
            chunk = input.next_chunk().await;
        }
        Ok(())
    }

    /// Whether the input has ended as it should, after its last chunk.
    pub(super) fn end(&mut self, input: &mut impl Input<Row = R>) -> Result<(), BulkError> {
        match input.failure() {
            Some(source) => {
                let rows = self.settled;
                Err(self.stopped(BulkError::Input { rows, source }))
            }
            None => Ok(()),
        }
    }

    /// Writes one chunk in a transaction, or in several if a constraint that is checked at COMMIT refuses
    /// it: the halves of it are tried until the row is alone.
    async fn chunk<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        chunk: Vec<R>,
    ) -> Result<(), BulkError>
    where
        R: BulkRow<B>,
    {
        let mut retries = self.retry.begin(B::depth(connection) > 0);
        let mut pending = vec![chunk];
        while let Some(mut chunk) = pending.pop() {
            let before = self.meter.position();
            match self.try_chunk::<B>(connection, &chunk).await {
                Ok(bad) => self.settle(chunk, bad),
                Err(error) if self.best_effort && error.blames_an_unknown_row() => {
                    self.meter.return_to(before);
                    if chunk.len() == 1 {
                        self.put_up_with(1).map_err(|error| self.stopped(error))?;
                        self.settle(chunk, vec![(0, error.at_row(self.settled))]);
                        self.meter.advance(1, 0);
                    } else {
                        let second = chunk.split_off(chunk.len() / 2);
                        pending.extend([second, chunk]);
                    }
                }
                Err(error) if retries.again(&error).await => {
                    self.meter.return_to(before);
                    pending.push(chunk);
                }
                Err(error) => return Err(self.stopped(error)),
            }
        }
        Ok(())
    }

    /// Whether so many bad rows beside those that are set aside may be.
    fn put_up_with(&self, bad: usize) -> Result<(), BulkError> {
        if self.failed.len() + bad > self.max_refused {
            return Err(BulkError::TooManyRefused {
                most: self.max_refused,
            });
        }
        Ok(())
    }

    fn settle(&mut self, chunk: Vec<R>, bad: Vec<(usize, BulkError)>) {
        let first = self.settled;
        self.settled += chunk.len() as u64;
        self.failed.extend(set_aside(chunk, bad, first));
    }

    /// The bad rows of a chunk whose good ones are committed.
    async fn try_chunk<B: Backend>(
        &mut self,
        connection: &mut B::Connection,
        chunk: &[R],
    ) -> Result<Vec<(usize, BulkError)>, BulkError>
    where
        R: BulkRow<B>,
    {
        let mut scope = B::begin(connection).await?;
        let (mut bad, mut ids) = (Vec::new(), Vec::new());
        let mut start = 0;
        while start < chunk.len() {
            let rest = &chunk[start..];
            match self.write::<B>(&mut scope, rest, &mut ids).await {
                Ok(()) => break,
                Err(rejection) => {
                    let error = rejection.error.offset_row(self.settled + start as u64);
                    if !(self.best_effort && rejection.isolated) {
                        return Err(error);
                    }
                    bad.push((start + rejection.at, error));
                    self.put_up_with(bad.len())?;
                    start += rejection.at + 1;
                    self.meter.advance(1, 0);
                }
            }
        }
        B::commit(scope).await?;
        self.ids.extend(ids);
        Ok(bad)
    }

    /// Writes rows, and appends the ids of those that are written, if ids are wanted.
    async fn write<B: Backend>(
        &mut self,
        scope: &mut Scope<'_, B>,
        rows: &[R],
        ids: &mut Vec<i64>,
    ) -> Result<(), Rejection>
    where
        R: BulkRow<B>,
    {
        let (target, isolate) = (&self.target, self.best_effort);
        match self.id {
            Some(id) => {
                B::insert_with_ids(scope, target, id, isolate, rows, ids, &mut self.meter).await
            }
            None => B::insert(scope, target, isolate, rows, &mut self.meter).await,
        }
    }

    fn stopped(&mut self, error: BulkError) -> BulkError {
        match (self.settled, error) {
            // What was settled in a transaction is gone with it.
            (0, error) | (_, error @ BulkError::TransactionLost { .. }) => error,
            (settled, error) => BulkError::Partial {
                settled,
                failed: self.failed.drain(..).map(|row| row.error).collect(),
                source: Box::new(error),
            },
        }
    }

    pub(super) fn report(self) -> BulkReport<R> {
        let progress = self.meter.progress();
        BulkReport {
            written: self.settled - self.failed.len() as u64,
            bytes: progress.bytes,
            elapsed: progress.elapsed,
            ids: self.ids,
            failed: self.failed,
        }
    }
}

/// The rows of `chunk` named in `bad`, whose positions ascend.
fn set_aside<R>(
    chunk: Vec<R>,
    bad: Vec<(usize, BulkError)>,
    first: u64,
) -> impl Iterator<Item = FailedRow<R>> {
    let mut rows = chunk.into_iter().enumerate();
    bad.into_iter().filter_map(move |(position, error)| {
        let (_, row) = rows.find(|(other, _)| *other == position)?;
        Some(FailedRow {
            index: first + position as u64,
            row,
            error,
        })
    })
}

//! Splitting an input into chunks.
//!
//! An iterator is drawn from when the chunk before is written. A stream is drawn from while it is being
//! written, up to one chunk ahead: that is the second buffer, and a writer that falls behind stops the
//! stream. A stream that fails has ended, and what came before is its last chunk.

use crate::error::BoxError;
use futures_core::Stream;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

/// How large a chunk may become.
#[derive(Clone, Copy)]
pub(crate) struct Limit<R> {
    pub(crate) rows: usize,
    pub(crate) bytes: Option<ByteLimit<R>>,
}

/// The most bytes, and how many a row counts for. A chunk has one row at least.
#[derive(Clone, Copy)]
pub(crate) struct ByteLimit<R> {
    pub(crate) most: usize,
    pub(crate) measure: fn(&R) -> usize,
}

/// Where rows come from, in chunks.
pub(crate) trait Input: Send {
    type Row: Send + Sync;

    /// Makes the next chunk grow until it is full; ready when it is, or when the input has ended.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// Whether the input is to be drawn from while a chunk is written.
    fn reads_ahead(&self) -> bool;

    /// The next chunk, however far it has grown.
    fn take(&mut self) -> Vec<Self::Row>;

    /// Why the input ended before its time, once its last chunk is taken.
    fn failure(&mut self) -> Option<BoxError>;

    /// How many items are left, when the input is sure.
    fn exact_len(&self) -> Option<u64>;

    /// The next chunk; empty at the end.
    fn next_chunk(&mut self) -> impl Future<Output = Vec<Self::Row>> + Send {
        async {
            poll_fn(|context| self.poll_fill(context)).await;
            self.take()
        }
    }
}

/// Awaits `work` and meanwhile lets the next chunk of `input` grow.
pub(crate) async fn meanwhile<W: Future>(work: W, input: &mut impl Input) -> W::Output {
    let mut work = pin!(work);
    let mut is_full = !input.reads_ahead();
    poll_fn(|context| {
        if let Poll::Ready(outcome) = work.as_mut().poll(context) {
            return Poll::Ready(outcome);
        }
        if !is_full {
            is_full = input.poll_fill(context).is_ready();
        }
        Poll::Pending
    })
    .await
}

/// A chunk that grows.
struct Growing<R> {
    rows: Vec<R>,
    bytes: usize,
    limit: Limit<R>,
    /// A row that was too much for the chunk before.
    next: Option<(R, usize)>,
}

impl<R> Growing<R> {
    const fn new(limit: Limit<R>) -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
            limit,
            next: None,
        }
    }

    fn is_full(&self) -> bool {
        self.next.is_some() || self.rows.len() >= self.limit.rows
    }

    fn push(&mut self, row: R) {
        let (most, bytes) = match &self.limit.bytes {
            Some(limit) => (limit.most, (limit.measure)(&row)),
            None => (usize::MAX, 0),
        };
        if self.rows.is_empty() || self.bytes + bytes <= most {
            self.bytes += bytes;
            self.rows.push(row);
        } else {
            self.next = Some((row, bytes));
        }
    }

    fn take(&mut self) -> Vec<R> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if let Some((row, bytes)) = self.next.take() {
            self.rows.push(row);
            self.bytes = bytes;
        }
        rows
    }
}

/// The chunks of an iterator, drawn one at a time, so that an endless or lazy one costs no more memory than
/// a chunk.
pub(crate) struct Rows<I: Iterator> {
    input: I,
    chunk: Growing<I::Item>,
}

impl<I: Iterator> Rows<I> {
    pub(crate) const fn new(input: I, limit: Limit<I::Item>) -> Self {
        Self {
            input,
            chunk: Growing::new(limit),
        }
    }
}

impl<I: Iterator<Item: Send + Sync> + Send> Input for Rows<I> {
    type Row = I::Item;

    fn poll_fill(&mut self, _context: &mut Context<'_>) -> Poll<()> {
        while !self.chunk.is_full()
            && let Some(row) = self.input.next()
        {
            self.chunk.push(row);
        }
        Poll::Ready(())
    }

    fn reads_ahead(&self) -> bool {
        false
    }

    fn take(&mut self) -> Vec<I::Item> {
        self.chunk.take()
    }

    fn failure(&mut self) -> Option<BoxError> {
        None
    }

    fn exact_len(&self) -> Option<u64> {
        exact(self.input.size_hint())
    }
}

/// The chunks of a stream.
pub(crate) struct Streamed<S, R> {
    input: Option<Pin<Box<S>>>,
    chunk: Growing<R>,
    failure: Option<BoxError>,
}

impl<R, S: Stream<Item = Result<R, BoxError>>> Streamed<S, R> {
    pub(crate) fn new(input: S, limit: Limit<R>) -> Self {
        Self {
            input: Some(Box::pin(input)),
            chunk: Growing::new(limit),
            failure: None,
        }
    }
}

impl<R, S> Input for Streamed<S, R>
where
    R: Send + Sync,
    S: Stream<Item = Result<R, BoxError>> + Send,
{
    type Row = R;

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while !self.chunk.is_full()
            && let Some(input) = &mut self.input
        {
            match input.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(row))) => self.chunk.push(row),
                Poll::Ready(Some(Err(error))) => {
                    self.failure = Some(error);
                    self.input = None;
                }
                Poll::Ready(None) => self.input = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn take(&mut self) -> Vec<R> {
        self.chunk.take()
    }

    fn failure(&mut self) -> Option<BoxError> {
        self.failure.take()
    }

    fn exact_len(&self) -> Option<u64> {
        self.input
            .as_ref()
            .and_then(|input| exact(input.size_hint()))
    }
}

fn exact(hint: (usize, Option<usize>)) -> Option<u64> {
    match hint {
        (low, Some(high)) if low == high => u64::try_from(low).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::task::Waker;

    fn now<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("pending"),
        }
    }

    fn limit(rows: usize, bytes: Option<usize>) -> Limit<usize> {
        Limit {
            rows,
            bytes: bytes.map(|most| ByteLimit {
                most,
                measure: |row| row % 7,
            }),
        }
    }

    fn chunks(mut input: impl Input<Row = usize>) -> Vec<Vec<usize>> {
        let next = || Some(now(input.next_chunk())).filter(|chunk| !chunk.is_empty());
        std::iter::from_fn(next).collect()
    }

    proptest! {
        #[test]
        fn chunks_are_full_but_the_last_and_add_up(
            items in 0_usize..200,
            rows in 1_usize..50,
            bytes in proptest::option::of(0_usize..40),
        ) {
            let limit = limit(rows, bytes);
            let of_rows = chunks(Rows::new(0..items, limit));
            let stream = futures_util::stream::iter((0..items).map(Ok));
            prop_assert_eq!(&of_rows, &chunks(Streamed::new(stream, limit)));
            prop_assert_eq!(of_rows.concat(), (0..items).collect::<Vec<_>>());
            let size = |chunk: &[usize]| chunk.iter().map(|row| row % 7).sum::<usize>();
            let most = bytes.unwrap_or(usize::MAX);
            for (position, chunk) in of_rows.iter().enumerate() {
                prop_assert!(chunk.len() <= rows && (chunk.len() == 1 || size(chunk) <= most));
                if let Some(next) = of_rows.get(position + 1) {
                    prop_assert!(chunk.len() == rows || size(chunk) + next[0] % 7 > most);
                }
            }
        }
    }

    #[test]
    fn a_filtered_input_has_no_exact_length() {
        let even = Rows::new((0..9).filter(|n| n % 2 == 0), limit(4, None));
        assert_eq!(even.exact_len(), None);
        assert_eq!(Rows::new(0..9, limit(4, None)).exact_len(), Some(9));
    }

    #[test]
    fn a_stream_is_drawn_one_chunk_ahead_and_no_further() {
        let drawn = std::sync::atomic::AtomicUsize::new(0);
        let counted = futures_util::stream::iter(
            (0..100)
                .inspect(|_| {
                    drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                })
                .map(Ok),
        );
        let mut input = Streamed::new(counted, limit(10, None));
        assert_eq!(now(input.next_chunk()).len(), 10);
        let mut polls = 0;
        let work = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls == 5 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(meanwhile(work, &mut input));
        assert_eq!(drawn.load(std::sync::atomic::Ordering::Relaxed), 20);
    }
}

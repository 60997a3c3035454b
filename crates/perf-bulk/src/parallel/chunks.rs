use futures_core::Stream;
use perf_core::clock::Sleep;
use perf_core::{Clock, SystemClock};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Gathers the items of a stream into chunks of at most `items`; zero counts as one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use futures_util::{StreamExt, stream};
/// use perf_bulk::chunked;
///
/// let words = stream::iter(["a", "bb", "ccc", "dddd", "e"]);
/// let chunks = chunked(words, 3).max_bytes(5, |word: &&str| word.len());
/// let chunks: Vec<_> = chunks.collect().await;
/// assert_eq!(chunks, [vec!["a", "bb"], vec!["ccc"], vec!["dddd", "e"]]);
/// # }
/// ```
pub fn chunked<S: Stream>(stream: S, items: usize) -> Chunked<S> {
    Chunked {
        stream,
        max_items: items.max(1),
        max_bytes: usize::MAX,
        weigh: Box::new(|_| 0),
        linger: None,
        clock: Arc::new(SystemClock),
        deadline: None,
        chunk: Vec::new(),
        bytes: 0,
        is_over: false,
    }
}

pin_project! {
    /// The stream of [`chunked`].
    ///
    /// A chunk leaves when it is full, when the next item would make it too heavy, when it has lingered, and
    /// when the stream ends. Dropping it drops the chunk that was being gathered.
    #[must_use = "streams do nothing unless polled"]
    pub struct Chunked<S: Stream> {
        #[pin]
        stream: S,
        max_items: usize,
        max_bytes: usize,
        weigh: Box<dyn Fn(&S::Item) -> usize + Send>,
        linger: Option<Duration>,
        clock: Arc<dyn Clock>,
        deadline: Option<Sleep>,
        chunk: Vec<S::Item>,
        bytes: usize,
        is_over: bool,
    }
}

impl<S: Stream> Chunked<S> {
    /// The most bytes of a chunk, as `weigh` counts them; default unlimited. An item that alone has more is
    /// a chunk of its own.
    pub fn max_bytes(
        mut self,
        bytes: usize,
        weigh: impl Fn(&S::Item) -> usize + Send + 'static,
    ) -> Self {
        self.max_bytes = bytes;
        self.weigh = Box::new(weigh);
        self
    }

    /// How long a chunk waits for more items, counted from its first; default until it is full.
    pub const fn linger(mut self, duration: Duration) -> Self {
        self.linger = Some(duration);
        self
    }

    /// The clock of [`linger`](Self::linger); default [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl<S: Stream> Stream for Chunked<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        while !*this.is_over && this.chunk.len() < *this.max_items {
            match this.stream.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => {
                    let bytes = (this.weigh)(&item);
                    let is_too_heavy = this.bytes.saturating_add(bytes) > *this.max_bytes;
                    if is_too_heavy && !this.chunk.is_empty() {
                        *this.bytes = bytes;
                        let full = std::mem::replace(this.chunk, vec![item]);
                        // The next chunk has begun to linger.
                        *this.deadline = this.linger.map(|linger| this.clock.sleep(linger));
                        return Poll::Ready(Some(full));
                    }
                    if this.chunk.is_empty() {
                        *this.deadline = this.linger.map(|linger| this.clock.sleep(linger));
                    }
                    *this.bytes = this.bytes.saturating_add(bytes);
                    this.chunk.push(item);
                }
                Poll::Ready(None) => *this.is_over = true,
                Poll::Pending => {
                    let deadline = this.deadline.as_mut();
                    let is_due = deadline.is_some_and(|due| due.as_mut().poll(context).is_ready());
                    if is_due {
                        break;
                    }
                    return Poll::Pending;
                }
            }
        }
        *this.deadline = None;
        *this.bytes = 0;
        let chunk = std::mem::take(this.chunk);
        if chunk.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(chunk))
    }
}

impl<S: Stream> fmt::Debug for Chunked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunked")
            .field("gathered", &self.chunk.len())
            .finish_non_exhaustive()
    }
}

use super::Adaptive;
use futures_core::Stream;
use perf_core::{Clock, SystemClock};
use pin_project_lite::pin_project;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::JoinSet;

/// Applies `work` to each of `items`, eight at a time unless set otherwise; outputs come in the order of the
/// items.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), std::num::ParseIntError> {
/// use futures_util::stream;
/// use perf_bulk::par_map;
///
/// let lengths = par_map(stream::iter(["1", "22", "x"]), |text| async move { text.parse::<u32>() });
/// let lengths = lengths.concurrency(2).collect_all().await;
/// assert_eq!(lengths[..2], [Ok(1), Ok(22)]);
/// assert!(lengths[2].is_err());
///
/// let parsed = par_map(stream::iter(["1", "x", "3"]), |text| async move { text.parse::<u32>() });
/// assert!(parsed.first_error().await.is_err());
/// # Ok(())
/// # }
/// ```
pub fn par_map<S, F, A>(items: S, work: F) -> ParMap<S, F, A::Output>
where
    S: Stream,
    F: FnMut(S::Item) -> A,
    A: Future + Send + 'static,
    A::Output: Send + 'static,
{
    ParMap {
        items,
        work,
        is_exhausted: false,
        is_ordered: true,
        crew: Crew {
            runs: JoinSet::new(),
            limit: Limit::Fixed(8),
            done: BTreeMap::new(),
            started: 0,
            yielded: 0,
        },
    }
}

pin_project! {
    /// The stream of [`par_map`].
    ///
    /// Dropping it stops every run at its next await; nothing is started that was not polled for.
    ///
    /// # Panics
    ///
    /// Polling it goes on with a panic of `work` or of a run, and panics outside a tokio runtime or in one
    /// that shuts down.
    #[must_use = "streams do nothing unless polled"]
    pub struct ParMap<S, F, O> {
        #[pin]
        items: S,
        work: F,
        is_exhausted: bool,
        is_ordered: bool,
        crew: Crew<O>,
    }
}

/// What runs, and what has ended and waits for its turn.
struct Crew<O> {
    runs: JoinSet<Ended<O>>,
    limit: Limit<O>,
    done: BTreeMap<usize, O>,
    started: usize,
    yielded: usize,
}

struct Ended<O> {
    index: usize,
    output: O,
    elapsed: Duration,
}

enum Limit<O> {
    Fixed(usize),
    Adaptive(Adaptive, Box<dyn Fn(&O) -> bool + Send>),
}

/// How far outputs may run ahead of the oldest one that is missing, in multiples of the limit: a slow first
/// item must not let the others fill the memory.
const AHEAD: usize = 4;

impl<S, F, O> ParMap<S, F, O> {
    /// How many run at a time; zero counts as one.
    pub fn concurrency(mut self, runs: usize) -> Self {
        self.crew.limit = Limit::Fixed(runs.max(1));
        self
    }

    /// Finds out how many should run at a time; `failed` says which outputs mean that the other side is
    /// overloaded.
    pub fn adaptive(
        mut self,
        limit: Adaptive,
        failed: impl Fn(&O) -> bool + Send + 'static,
    ) -> Self {
        self.crew.limit = Limit::Adaptive(limit, Box::new(failed));
        self
    }

    /// Outputs come as they are ready, whatever the order of their items.
    pub const fn unordered(mut self) -> Self {
        self.is_ordered = false;
        self
    }
}

impl<S, F, A, T, E> ParMap<S, F, Result<T, E>>
where
    S: Stream,
    F: FnMut(S::Item) -> A,
    A: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    /// All values in the order of their items, or the first error in time, which stops the rest.
    ///
    /// # Errors
    ///
    /// That of the first run that fails.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, everything stops.
    pub async fn first_error(self) -> Result<Vec<T>, E> {
        let mut this = pin!(self);
        let mut values = BTreeMap::new();
        while let Some((index, output)) = poll_fn(|cx| this.as_mut().poll_any(cx)).await {
            values.insert(index, output?);
        }
        Ok(values.into_values().collect())
    }

    /// All results in the order of their items.
    ///
    /// # Cancel safety
    ///
    /// Dropped midway, everything stops.
    pub async fn collect_all(self) -> Vec<Result<T, E>> {
        let mut this = pin!(self);
        let mut results = BTreeMap::new();
        while let Some((index, output)) = poll_fn(|cx| this.as_mut().poll_any(cx)).await {
            results.insert(index, output);
        }
        results.into_values().collect()
    }
}

impl<S, F, A> ParMap<S, F, A::Output>
where
    S: Stream,
    F: FnMut(S::Item) -> A,
    A: Future + Send + 'static,
    A::Output: Send + 'static,
{
    /// Starts what may run.
    fn start(self: Pin<&mut Self>, context: &mut Context<'_>) {
        let mut this = self.project();
        while !*this.is_exhausted && this.crew.has_room() {
            match this.items.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => this.crew.spawn((this.work)(item)),
                Poll::Ready(None) => *this.is_exhausted = true,
                Poll::Pending => return,
            }
        }
    }

    /// The next output to be ready, with its index.
    fn poll_any(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<(usize, A::Output)>> {
        self.as_mut().start(context);
        let this = self.project();
        let Some(ended) = ready!(this.crew.poll_ended(context)) else {
            return match *this.is_exhausted {
                true => Poll::Ready(None),
                false => Poll::Pending,
            };
        };
        this.crew.yielded += 1;
        Poll::Ready(Some(ended))
    }

    /// The next output in order.
    fn poll_ordered(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<A::Output>> {
        loop {
            self.as_mut().start(context);
            let this = self.as_mut().project();
            if let Some(output) = this.crew.done.remove(&this.crew.yielded) {
                this.crew.yielded += 1;
                return Poll::Ready(Some(output));
            }
            match ready!(this.crew.poll_ended(context)) {
                Some((index, output)) => drop(this.crew.done.insert(index, output)),
                None if *this.is_exhausted => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        }
    }
}

impl<O: Send + 'static> Crew<O> {
    fn has_room(&self) -> bool {
        let limit = match &self.limit {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(limit, _) => limit.current(),
        };
        self.runs.len() < limit && self.started - self.yielded < limit.saturating_mul(AHEAD)
    }

    fn spawn<A: Future<Output = O> + Send + 'static>(&mut self, run: A) {
        let index = self.started;
        self.started += 1;
        self.runs.spawn(async move {
            let start = SystemClock.now();
            let output = run.await;
            Ended {
                index,
                output,
                elapsed: SystemClock.now().since(start),
            }
        });
    }

    /// The next run to end; `None` if none runs.
    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, O)>> {
        let running = self.runs.len();
        let Some(ended) = ready!(self.runs.poll_join_next(context)) else {
            return Poll::Ready(None);
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => panic!("the runtime shut down while its tasks were waited for"),
            },
        };
        if let Limit::Adaptive(limit, failed) = &mut self.limit {
            limit.observe(ended.elapsed, running, failed(&ended.output));
        }
        Poll::Ready(Some((ended.index, ended.output)))
    }
}

impl<S, F, A> Stream for ParMap<S, F, A::Output>
where
    S: Stream,
    F: FnMut(S::Item) -> A,
    A: Future + Send + 'static,
    A::Output: Send + 'static,
{
    type Item = A::Output;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_ordered {
            return self.poll_ordered(context);
        }
        let next = ready!(self.poll_any(context));
        Poll::Ready(next.map(|(_, output)| output))
    }
}

impl<S, F, O> fmt::Debug for ParMap<S, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParMap")
            .field("started", &self.crew.started)
            .field("running", &self.crew.runs.len())
            .finish_non_exhaustive()
    }
}

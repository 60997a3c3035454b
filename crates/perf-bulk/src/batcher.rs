//! Many single requests, one call.
//!
//! A [`Batcher`] stands in front of something that is cheaper by the batch: a bulk insert, an HTTP API with
//! a bulk endpoint, a file to sync. Each caller submits one item and gets the answer to it.
//!
//! The default is to **batch while busy**. The first item leaves at once; what arrives while its call is
//! under way leaves together when that returns. So an idle batcher adds the time of one spawned task, a
//! loaded one fills its batches by itself, and there is no delay to tune. A `linger` above zero adds the
//! classic trigger: a batch that is not full waits that long for more.
//!
//! - An item is **taken** once there is room for it in the bounded queue. From then on it is handled,
//!   whether or not its caller still waits; before that, dropping the [`Submit`] takes it back. Which of
//!   the two is the case, [`Submit::withdraw`] tells.
//! - Items may have keys. A batch has one key, and batches of a key leave in order, one at a time.
//! - Answers are per item. Those that failed transiently are tried again together, after the others have
//!   their answer; while they are, their key waits, so nothing overtakes them.
//! - A batch runs in a task of its own. A handler that panics fails its batch and nothing else.

mod answer;
mod builder;
mod figures;
mod flight;
mod handle;
mod queue;
mod shared;
mod submit;
mod worker;

use std::error::Error;
use std::future::Future;

pub use builder::{BatcherBuilder, WhenFull};
pub use handle::Batcher;
pub use shared::Refusal;
pub use submit::{Refused, Submit, Ticket};

/// Handles many items at once.
///
/// Closures from `Vec<I>` to a future of `Result<Vec<O>, E>`, with one answer for each item in order, are
/// handlers of items that can be cloned. Implement the trait to borrow the items instead, or to fail
/// single ones.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{BatchError, BatchHandler, Batcher, Handled};
/// use std::num::ParseIntError;
///
/// struct Parser;
///
/// impl BatchHandler<String> for Parser {
///     type Output = i32;
///     type Error = ParseIntError;
///
///     async fn handle(&self, items: &[String]) -> Handled<i32, ParseIntError> {
///         Ok(items.iter().map(|item| item.parse()).collect())
///     }
/// }
///
/// let parser = Batcher::new(Parser);
/// let (seven, none) = tokio::join!(parser.submit("7".to_owned()), parser.submit("x".to_owned()));
/// assert_eq!(seven?, 7);
/// assert!(matches!(none, Err(BatchError::Failed { attempts: 1, .. })));
/// # Ok(())
/// # }
/// ```
pub trait BatchHandler<I>: Send + Sync + 'static {
    /// The answer to an item.
    type Output: Send + 'static;
    /// Why an item, or the whole batch, has no answer.
    type Error: Error + Send + Sync + 'static;

    /// Handles `items`, at least one, in the order of their arrival.
    fn handle(
        &self,
        items: &[I],
    ) -> impl Future<Output = Handled<Self::Output, Self::Error>> + Send;
}

/// What [`BatchHandler::handle`] returns: an answer for each item in order, or an error for all.
pub type Handled<O, E> = Result<Vec<Result<O, E>>, E>;

impl<I, O, E, F, A> BatchHandler<I> for F
where
    I: Clone + Sync,
    O: Send + 'static,
    E: Error + Send + Sync + 'static,
    F: Fn(Vec<I>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Vec<O>, E>> + Send,
{
    type Output = O;
    type Error = E;

    fn handle(&self, items: &[I]) -> impl Future<Output = Handled<O, E>> + Send {
        let answer = self(items.to_vec());
        async { Ok(answer.await?.into_iter().map(Ok).collect()) }
    }
}

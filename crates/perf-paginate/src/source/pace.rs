//! How fast rows are handed over.

use std::future::poll_fn;
use std::mem;
use std::task::Poll;

/// Takes the rows of a source one by one, and says when the next is welcome. Who wants no more drops the future that hands
/// them over.
pub type EachItem<'a, T> = &'a mut (dyn FnMut(T) -> Pace + Send);

/// What whoever takes rows one by one says after each.
///
/// A database that is quick, or at hand, always has the next row. Rows would be taken without end while nobody uses them,
/// unless the one who takes them can stop the one who hands them over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// The next row is welcome at once.
    On,
    /// Those that were handed over are to be used first.
    Rest,
}

impl Pace {
    /// Waits for one turn if it says [`Pace::Rest`]: whoever polls gets theirs in between.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn keep(self) {
        let mut rests = self == Self::Rest;
        poll_fn(|context| {
            if mem::take(&mut rests) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

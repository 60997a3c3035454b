use super::{DeadLetter, DeadLetterSink};
use crate::error::BulkError;
use std::future::Future;

/// How many letters are read at once.
const PAGE: usize = 100;

/// What a [`replay`] came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Letters that succeeded and are discarded.
    pub succeeded: u64,
    /// Letters that failed again and are still kept.
    pub failed: u64,
}

/// Hands every letter to `work`, oldest first and one at a time, and discards those that succeed.
///
/// A letter that fails stays as it is. If `work` fails an item as before, by a batcher with the same sink
/// for instance, the sink gets a second letter about it: answer `Ok` then, since the new letter has the
/// item. Letters that arrive during the replay are left for the next one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use perf_bulk::{DeadLetter, DeadLetterSink, MemoryDeadLetters, replay};
/// use std::time::SystemTime;
///
/// let sink = MemoryDeadLetters::new();
/// let letters = [1, 2, 3].map(|n| DeadLetter::new("halver", &n, "odd", 1, SystemTime::UNIX_EPOCH));
/// sink.keep(&letters.into_iter().collect::<Result<Vec<_>, _>>()?).await?;
///
/// let replayed = replay(&sink, |letter| async move {
///     let number: u32 = letter.payload_as()?;
///     if number == 2 { Ok(()) } else { Err("still odd".into()) }
/// })
/// .await?;
/// assert_eq!((replayed.succeeded, replayed.failed), (1, 2));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// That of the sink. Errors of `work` are counted.
///
/// # Cancel safety
///
/// Dropped midway, letters that were not discarded yet are kept, one of which `work` may have finished.
pub async fn replay<F, A>(sink: &dyn DeadLetterSink, mut work: F) -> Result<Replayed, BulkError>
where
    F: FnMut(DeadLetter) -> A,
    A: Future<Output = Result<(), crate::BoxError>>,
{
    let mut replayed = Replayed::default();
    let Some(last) = last_id(sink).await? else {
        return Ok(replayed);
    };
    let mut after = None;
    loop {
        let page = sink.read(after, PAGE).await?;
        let due: Vec<_> = page
            .into_iter()
            .take_while(|kept| kept.id <= last)
            .collect();
        let Some(end) = due.last() else {
            return Ok(replayed);
        };
        after = Some(end.id);
        for kept in due {
            if let Err(error) = work(kept.letter).await {
                tracing::warn!(
                    id = kept.id.0,
                    error = &*error,
                    "a dead letter failed again"
                );
                replayed.failed += 1;
                continue;
            }
            sink.discard(&[kept.id]).await?;
            replayed.succeeded += 1;
        }
    }
}

/// The place of the newest letter. Walking there costs a read of everything, once, and asks no sink for
/// more than it must supply.
async fn last_id(sink: &dyn DeadLetterSink) -> Result<Option<super::LetterId>, BulkError> {
    let mut last = None;
    loop {
        match sink.read(last, PAGE).await?.last() {
            Some(kept) => last = Some(kept.id),
            None => return Ok(last),
        }
    }
}

//! Errors, panics, retries and the end of the runtime.

use super::{Doubler, busy, counter, settle};
use futures_util::FutureExt;
use futures_util::future::join_all;
use perf_bulk::{
    BatchError, Batcher, BulkError, DeadLetter, DeadLetterSink, KeptLetter, LetterId,
    MemoryDeadLetters,
};
use perf_core::{Backoff, ManualClock};
use proptest::prelude::*;
use std::io;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_item_fails_alone_and_a_batch_as_a_whole() {
    let batcher = Batcher::new(Doubler::default());
    let answers = join_all([1, 13, 2].map(|item| batcher.submit(item))).await;
    let [Ok(2), Err(error), Ok(4)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(matches!(error, BatchError::Failed { attempts: 1, .. }) && error.was_taken());
    for answer in join_all([1, 66, 2].map(|item| batcher.submit(item))).await {
        assert!(
            matches!(answer, Err(BatchError::Failed { .. })),
            "{answer:?}"
        );
    }
    for answer in join_all([1, 88, 2].map(|item| batcher.submit(item))).await {
        let expected = 3;
        assert!(
            matches!(answer, Err(BatchError::Miscounted { expected: e, found: 2 }) if e == expected),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_panic_fails_its_batch_and_nothing_else() {
    let batcher = Batcher::new(Doubler::default());
    for answer in join_all([1, 77].map(|item| batcher.submit(item))).await {
        assert!(matches!(answer, Err(BatchError::Panicked)), "{answer:?}");
    }
    assert_eq!(batcher.submit(5).await.unwrap(), 10);

    let closure = |items: Vec<u32>| {
        assert!(items[0] != 1, "before there is a future");
        async move { Ok::<_, io::Error>(items) }
    };
    let batcher = Batcher::new(closure);
    assert!(matches!(batcher.submit(1).await, Err(BatchError::Panicked)));
    assert_eq!(batcher.submit(2).await.unwrap(), 2);
}

#[tokio::test]
async fn what_fails_transiently_is_tried_again_without_the_others() {
    let clock = ManualClock::new();
    let doubler = Doubler::default();
    let batcher = Batcher::builder(doubler.clone())
        .retry(
            Backoff::constant(Duration::from_secs(1)).with_max_attempts(3),
            busy,
        )
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let tickets = [1, 14, 13].map(|item| batcher.try_submit(item).unwrap());
    let [one, fourteen, thirteen] = tickets;
    assert_eq!(one.await.unwrap(), 2, "it need not wait for the retries");
    assert!(matches!(
        thirteen.await,
        Err(BatchError::Failed { attempts: 1, .. })
    ));
    let later = batcher.try_submit(5).unwrap();
    for _ in 0..2 {
        settle().await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(fourteen.await.unwrap(), 28);
    assert_eq!(later.await.unwrap(), 10);
    assert_eq!(
        doubler.calls(),
        [vec![1, 14, 13], vec![14], vec![14], vec![5]],
        "nothing overtakes an item of its key"
    );
    assert_eq!(counter(&batcher, "retried"), 2);
}

#[tokio::test]
async fn retries_end_and_tell_how_many_they_were() {
    let batcher = Batcher::builder(Doubler::default())
        .retry(
            Backoff::constant(Duration::ZERO).with_max_attempts(2),
            |_| true,
        )
        .build()
        .unwrap();
    let answer = batcher.submit(13).await;
    assert!(
        matches!(answer, Err(BatchError::Failed { attempts: 2, .. })),
        "{answer:?}"
    );
}

#[test]
fn a_runtime_that_ends_leaves_nobody_waiting() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let batcher = Batcher::builder(Doubler::gated())
        .capacity(2)
        .build()
        .unwrap();
    let tickets = runtime.block_on(async {
        let first = batcher.try_submit(1).unwrap();
        settle().await;
        vec![first, batcher.try_submit(2).unwrap()]
    });
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for answer in other.block_on(join_all(tickets)) {
        assert!(matches!(answer, Err(BatchError::Abandoned)), "{answer:?}");
    }
    let without = batcher.try_submit(3).unwrap().now_or_never();
    assert!(
        matches!(without, Some(Err(BatchError::Abandoned))),
        "{without:?}"
    );
}

/// A sink that never has done, or panics.
#[derive(Debug)]
struct Stuck {
    panics: bool,
}

#[async_trait::async_trait]
impl DeadLetterSink for Stuck {
    async fn keep(&self, _letters: &[DeadLetter]) -> Result<(), BulkError> {
        assert!(!self.panics, "the sink panicked");
        std::future::pending().await
    }

    async fn read(
        &self,
        _after: Option<LetterId>,
        _limit: usize,
    ) -> Result<Vec<KeptLetter>, BulkError> {
        Ok(Vec::new())
    }

    async fn discard(&self, _ids: &[LetterId]) -> Result<(), BulkError> {
        Ok(())
    }
}

#[test]
fn a_runtime_that_ends_amid_a_burial_leaves_nobody_waiting() {
    for panics in [false, true] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let batcher = Batcher::builder(Doubler::default())
            .dead_letters(Arc::new(Stuck { panics }))
            .build()
            .unwrap();
        let tickets = runtime.block_on(async {
            let tickets = [1, 13].map(|item| batcher.try_submit(item).unwrap());
            settle().await;
            tickets
        });
        drop(runtime);
        let [one, thirteen] = tickets.map(FutureExt::now_or_never);
        assert!(matches!(one, Some(Ok(2))), "{one:?}");
        assert!(
            matches!(thirteen, Some(Err(BatchError::Failed { attempts: 1, .. }))),
            "{thirteen:?}"
        );
    }
}

#[tokio::test]
async fn dead_letters_are_kept_before_callers_hear_of_them() {
    let sink = Arc::new(MemoryDeadLetters::new());
    let batcher = Batcher::builder(Doubler::default())
        .name("doubler")
        .retry(
            Backoff::constant(Duration::ZERO).with_max_attempts(3),
            |_| true,
        )
        .dead_letters(Arc::clone(&sink) as Arc<dyn DeadLetterSink>)
        .build()
        .unwrap();
    batcher.submit(13).await.unwrap_err();
    let kept = sink.read(None, 10).await.unwrap();
    let letter = &kept[0].letter;
    assert_eq!((letter.source.as_str(), letter.attempts), ("doubler", 3));
    assert_eq!(letter.error, "the handler failed at attempt 3: unlucky");
    assert_eq!(letter.payload_as::<u32>().unwrap(), 13);
    assert_eq!(counter(&batcher, "dead_letters"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails and panics: each item is either answered or a dead letter, and once.
    #[test]
    fn succeeded_and_failed_are_the_input(
        items in proptest::collection::vec(prop_oneof![Just(13), Just(14), Just(66), Just(77), 100_u32..200], 0..60),
        max_items in 1_usize..8,
        retries in 1_u32..4,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sink = Arc::new(MemoryDeadLetters::new());
            let batcher = Batcher::builder(Doubler::default())
                .max_items(max_items)
                .capacity(5)
                .retry(Backoff::constant(Duration::ZERO).with_max_attempts(retries), busy)
                .dead_letters(Arc::clone(&sink) as Arc<dyn DeadLetterSink>)
                .build()
                .unwrap();
            let answers = join_all(items.iter().map(|item| batcher.submit(*item))).await;
            let mut failed = Vec::new();
            for (answer, item) in answers.into_iter().zip(&items) {
                match answer {
                    Ok(output) => prop_assert_eq!(output, item * 2),
                    Err(_) => failed.push(*item),
                }
            }
            let kept = sink.read(None, 1_000).await.unwrap();
            let mut letters: Vec<u32> =
                kept.iter().map(|kept| kept.letter.payload_as().unwrap()).collect();
            failed.sort_unstable();
            letters.sort_unstable();
            prop_assert_eq!(letters, failed);
            prop_assert_eq!(
                counter(&batcher, "succeeded") + counter(&batcher, "failed"),
                items.len() as u64
            );
            Ok(())
        })?;
    }
}

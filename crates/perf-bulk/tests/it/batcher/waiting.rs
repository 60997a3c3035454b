//! Full queues, dropped submits and closing.

use super::{Doubler, counter, settle};
use futures_util::FutureExt;
use futures_util::future::join_all;
use perf_bulk::{BatchError, Batcher, Refusal, WhenFull};
use perf_core::{Health, Inspect};
use tokio::task::yield_now;

#[tokio::test]
async fn a_full_queue_makes_callers_wait_in_order_or_refuses() {
    let doubler = Doubler::gated();
    let batcher = Batcher::builder(doubler.clone())
        .max_items(2)
        .capacity(2)
        .build()
        .unwrap();
    let waiting: Vec<_> = (0..10)
        .map(|item| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(item).await })
        })
        .collect();
    settle().await;
    assert!(matches!(batcher.health(), Health::Degraded(_)));
    let refused = batcher.try_submit(99).unwrap_err();
    assert_eq!((refused.item, refused.reason), (99, Refusal::Full));
    doubler.open(100);
    for (answer, item) in join_all(waiting).await.into_iter().zip(0..) {
        assert_eq!(answer.unwrap().unwrap(), item * 2);
    }
    assert_eq!(doubler.calls().concat(), (0..10).collect::<Vec<_>>());

    let batcher = Batcher::builder(Doubler::gated())
        .capacity(1)
        .when_full(WhenFull::Refuse)
        .build()
        .unwrap();
    let ticket = batcher.try_submit(1).unwrap();
    let mut submit = batcher.submit(2);
    let refused = (&mut submit).await;
    assert!(matches!(refused, Err(BatchError::Full)), "{refused:?}");
    assert_eq!(submit.withdraw(), Some(2));
    assert_eq!(counter(&batcher, "refused"), 1);
    drop(ticket);
}

#[tokio::test]
async fn a_dropped_submit_was_taken_or_was_not_and_tells() {
    // The queue holds one item, so those behind it stand in line.
    for polls in 0..6 {
        for opened in 0..4 {
            let doubler = Doubler::gated();
            let batcher = Batcher::builder(doubler.clone())
                .max_items(1)
                .capacity(1)
                .build()
                .unwrap();
            let ahead = batcher.try_submit(1).unwrap();
            let mut behind = batcher.submit(2);
            let mut withdrawn = batcher.submit(3);
            doubler.open(opened);
            for _ in 0..polls {
                let _pending = (&mut behind).now_or_never();
                let _pending = (&mut withdrawn).now_or_never();
                yield_now().await;
            }
            let taken = withdrawn.withdraw().is_none();
            drop(behind);
            doubler.open(10);
            batcher.drain().await;
            ahead.await.unwrap();
            let handled = doubler.calls().concat().contains(&3);
            assert_eq!(
                handled, taken,
                "after {polls} polls with {opened} calls let through"
            );
        }
    }
}

#[tokio::test]
async fn items_in_line_come_back_when_the_batcher_closes() {
    let doubler = Doubler::gated();
    let batcher = Batcher::builder(doubler.clone())
        .capacity(1)
        .build()
        .unwrap();
    let taken = batcher.try_submit(1).unwrap();
    let mut in_line = batcher.submit(2);
    assert!((&mut in_line).now_or_never().is_none());
    batcher.close();
    let refused = (&mut in_line).await;
    assert!(matches!(refused, Err(BatchError::Closed)), "{refused:?}");
    assert_eq!(in_line.withdraw(), Some(2));
    assert!(matches!(batcher.enqueue(3).await, Err(BatchError::Closed)));
    assert_eq!(batcher.try_submit(4).unwrap_err().reason, Refusal::Closed);
    doubler.open(1);
    assert_eq!(taken.await.unwrap(), 2);
    assert_eq!(doubler.calls(), [[1]]);
}

#[tokio::test]
async fn the_last_handle_closes_and_what_was_taken_is_handled() {
    let doubler = Doubler::default();
    let batcher = Batcher::builder(doubler.clone())
        .full_batches_only()
        .build()
        .unwrap();
    let ticket = batcher.enqueue(1).await.unwrap();
    let clone = batcher.clone();
    drop(batcher);
    settle().await;
    assert!(doubler.calls().is_empty());
    drop(clone);
    assert_eq!(ticket.await.unwrap(), 2);
}

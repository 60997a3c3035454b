//! The batcher: which items leave together, and when.

mod failures;
mod waiting;

use futures_util::future::join_all;
use parking_lot::Mutex;
use perf_bulk::{BatchHandler, Batcher, BulkError, Handled};
use perf_core::{Inspect, ManualClock, Registry, Value};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Doubles numbers and remembers its calls. 13 fails always, 14 until the third call, 66 fails the batch,
/// 77 panics, 88 gives no answer.
#[derive(Clone, Default)]
pub(crate) struct Doubler {
    calls: Arc<Mutex<Vec<Vec<u32>>>>,
    gate: Option<Arc<Semaphore>>,
}

impl Doubler {
    pub(crate) fn gated() -> Self {
        Self {
            gate: Some(Arc::new(Semaphore::new(0))),
            ..Self::default()
        }
    }

    pub(crate) fn open(&self, calls: usize) {
        self.gate.as_ref().unwrap().add_permits(calls);
    }

    pub(crate) fn calls(&self) -> Vec<Vec<u32>> {
        self.calls.lock().clone()
    }
}

impl BatchHandler<u32> for Doubler {
    type Output = u32;
    type Error = io::Error;

    async fn handle(&self, items: &[u32]) -> Handled<u32, io::Error> {
        let earlier = {
            let mut calls = self.calls.lock();
            calls.push(items.to_vec());
            calls.len() - 1
        };
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        assert!(!items.contains(&77), "the handler panicked");
        if items.contains(&66) {
            return Err(io::Error::other("the batch failed"));
        }
        let answers = items.iter().filter(|item| **item != 88);
        Ok(answers
            .map(|item| match item {
                13 => Err(io::Error::other("unlucky")),
                14 if earlier < 2 => Err(io::ErrorKind::ResourceBusy.into()),
                _ => Ok(item * 2),
            })
            .collect())
    }
}

pub(crate) fn busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ResourceBusy
}

/// Lets every other task do what it can.
pub(crate) async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

pub(crate) fn counter(part: &impl Inspect, name: &str) -> u64 {
    let mut samples = Vec::new();
    part.samples(&mut samples);
    let sample = samples.iter().find(|sample| sample.name == name);
    match sample.map(|sample| &sample.value) {
        Some(Value::Counter(count)) => *count,
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn what_arrives_while_a_batch_is_in_flight_leaves_together() {
    let doubler = Doubler::gated();
    let batcher = Batcher::builder(doubler.clone())
        .max_items(3)
        .build()
        .unwrap();
    let first = batcher.enqueue(0).await.unwrap();
    settle().await;
    let rest: Vec<_> = (1..=5)
        .map(|item| batcher.try_submit(item).unwrap())
        .collect();
    settle().await;
    assert_eq!(doubler.calls(), [[0]]);
    doubler.open(3);
    assert_eq!(first.await.unwrap(), 0);
    for (ticket, item) in rest.into_iter().zip(1..) {
        assert_eq!(ticket.await.unwrap(), item * 2);
    }
    assert_eq!(doubler.calls(), [vec![0], vec![1, 2, 3], vec![4, 5]]);
}

#[tokio::test]
async fn a_batch_of_one_task_is_whole_at_once() {
    let doubler = Doubler::default();
    let batcher = Batcher::new(doubler.clone());
    let answers = join_all((0..1_000).map(|item| batcher.submit(item + 1_000))).await;
    for (answer, item) in answers.into_iter().zip(1_000..) {
        assert_eq!(answer.unwrap(), item * 2);
    }
    assert_eq!(doubler.calls().len(), 1);
}

#[tokio::test]
async fn bytes_bound_a_batch_too_and_one_large_item_is_one() {
    let doubler = Doubler::gated();
    let batcher = Batcher::builder(doubler.clone())
        .max_bytes(100, |item: &u32| *item as usize)
        .build()
        .unwrap();
    let tickets: Vec<_> = [1, 40, 60, 41, 500, 3]
        .map(|item| batcher.try_submit(item).unwrap())
        .into_iter()
        .collect();
    doubler.open(10);
    for answer in join_all(tickets).await {
        answer.unwrap();
    }
    assert_eq!(
        doubler.calls(),
        [vec![1, 40], vec![60], vec![41], vec![500], vec![3]],
        "in order, whatever would fit better"
    );
}

#[tokio::test]
async fn a_batch_lingers_as_told_and_no_longer_when_it_is_full() {
    let clock = ManualClock::new();
    let doubler = Doubler::default();
    let batcher = Batcher::builder(doubler.clone())
        .max_items(2)
        .capacity(100)
        .linger(Duration::from_millis(10))
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let alone = batcher.enqueue(1).await.unwrap();
    settle().await;
    clock.advance(Duration::from_millis(9));
    settle().await;
    assert!(doubler.calls().is_empty());
    clock.advance(Duration::from_millis(1));
    assert_eq!(alone.await.unwrap(), 2);

    let first = batcher.enqueue(2).await.unwrap();
    settle().await;
    let second = batcher.enqueue(3).await.unwrap();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (4, 6));
    assert_eq!(doubler.calls(), [vec![1], vec![2, 3]]);
}

#[tokio::test]
async fn full_batches_only_leave_when_full_or_when_closed() {
    let doubler = Doubler::default();
    let batcher = Batcher::builder(doubler.clone())
        .max_items(3)
        .full_batches_only()
        .build()
        .unwrap();
    let tickets: Vec<_> = (0..4)
        .map(|item| batcher.try_submit(item).unwrap())
        .collect();
    settle().await;
    assert_eq!(doubler.calls(), [[0, 1, 2]]);
    batcher.drain().await;
    assert_eq!(doubler.calls(), [vec![0, 1, 2], vec![3]]);
    for answer in join_all(tickets).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn batches_have_one_key_and_keys_do_not_wait_for_each_other() {
    let doubler = Doubler::gated();
    let batcher = Batcher::builder(doubler.clone())
        .key_by(|item: &u32| item % 2)
        .build()
        .unwrap();
    for item in 0..2 {
        drop(batcher.try_submit(item).unwrap());
    }
    settle().await;
    for item in 2..8 {
        drop(batcher.try_submit(item).unwrap());
    }
    settle().await;
    assert_eq!(doubler.calls(), [[0], [1]], "one batch of a key in flight");
    doubler.open(4);
    batcher.drain().await;
    assert_eq!(
        doubler.calls(),
        [vec![0], vec![1], vec![2, 4, 6], vec![3, 5, 7]]
    );
}

#[tokio::test]
async fn batches_in_flight_are_bounded_over_all_keys() {
    let doubler = Doubler::gated();
    let batcher = Batcher::builder(doubler.clone())
        .key_by(|item: &u32| *item)
        .in_flight(2)
        .build()
        .unwrap();
    for item in 0..5 {
        drop(batcher.try_submit(item).unwrap());
    }
    settle().await;
    assert_eq!(doubler.calls().len(), 2);
    doubler.open(5);
    batcher.drain().await;
    assert_eq!(doubler.calls().len(), 5);
}

#[tokio::test]
async fn its_figures_add_up() {
    let registry = Registry::new();
    let batcher = Batcher::builder(Doubler::default())
        .name("d")
        .build()
        .unwrap();
    batcher.register(&registry);
    for answer in join_all([1, 2, 13].map(|item| batcher.submit(item))).await {
        drop(answer);
    }
    let inspection = &registry.inspect()[0];
    assert_eq!(
        (inspection.name.as_str(), inspection.kind),
        ("d", "batcher")
    );
    let figures = ["succeeded", "failed", "batches"].map(|name| counter(&batcher, name));
    assert_eq!(figures, [2, 1, 1]);
    let gauge = |name| {
        let sample = inspection.samples.iter().find(|sample| sample.name == name);
        match sample.unwrap().value {
            Value::Gauge(gauge) => gauge,
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (gauge("mean_batch_items"), gauge("queued_items")),
        (3.0, 0.0)
    );
    assert!(gauge("items_per_second") > 0.0);
}

#[test]
fn a_batcher_that_can_hold_nothing_is_refused() {
    let builders = [
        Batcher::builder(Doubler::default()).max_items(0),
        Batcher::builder(Doubler::default()).capacity(0),
        Batcher::builder(Doubler::default()).in_flight(0),
        Batcher::builder(Doubler::default()).in_flight(usize::MAX),
        Batcher::builder(Doubler::default()).in_flight_per_key(0),
        Batcher::builder(Doubler::default()).max_bytes(0, |_| 1),
    ];
    for builder in builders {
        assert!(matches!(builder.build(), Err(BulkError::Config(_))));
    }
}

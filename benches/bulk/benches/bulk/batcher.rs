//! 10,000 items from 1,000 tasks in batches of at most 500, and what an idle batcher adds to one item.

use batch_aint_one::{BatchingPolicy, Limits, Processor};
use criterion::Criterion;
use futures_util::future::join_all;
use harness::Comparison;
use perf_bulk::{BatchHandler, Batcher, Handled};
use std::convert::Infallible;
use tokio::runtime::Runtime;

const TASKS: u64 = 1_000;
const ITEMS: u64 = 10;
const MAX_BATCH: usize = 500;

#[derive(Clone)]
struct Doubler;

impl BatchHandler<u64> for Doubler {
    type Output = u64;
    type Error = Infallible;

    async fn handle(&self, items: &[u64]) -> Handled<u64, Infallible> {
        tokio::task::yield_now().await;
        Ok(items.iter().map(|item| Ok(item * 2)).collect())
    }
}

impl Processor for Doubler {
    type Key = ();
    type Input = u64;
    type Output = u64;
    type Error = String;
    type Resources = ();

    async fn acquire_resources(&self, (): ()) -> Result<(), String> {
        Ok(())
    }

    async fn process(
        &self,
        (): (),
        inputs: impl Iterator<Item = u64> + Send,
        (): (),
    ) -> Result<Vec<u64>, String> {
        tokio::task::yield_now().await;
        Ok(inputs.map(|item| item * 2).collect())
    }
}

fn ours() -> Batcher<u64, u64, Infallible> {
    let batcher = Batcher::builder(Doubler)
        .max_items(MAX_BATCH)
        .capacity(5_000);
    batcher.build().expect("a batcher")
}

/// With the policy that was the faster one of its two for load, in the same place.
fn peer() -> batch_aint_one::Batcher<Doubler> {
    let limits = Limits::builder()
        .max_batch_size(MAX_BATCH)
        .max_key_concurrency(1)
        .max_key_queued_items(5_000)
        .build();
    batch_aint_one::Batcher::builder()
        .name("doubler")
        .processor(Doubler)
        .limits(limits)
        .batching_policy(BatchingPolicy::Immediate)
        .build()
}

pub(crate) fn throughput(criterion: &mut Criterion) {
    let runtime = &Runtime::new().expect("a runtime");
    let _context = runtime.enter();
    let mut comparison = Comparison::new("bulk/batcher/throughput");
    let batcher = ours();
    comparison.add("perfkit", move || {
        let tasks = (0..TASKS).map(|task| {
            let batcher = batcher.clone();
            tokio::spawn(async move {
                let mut sum = 0;
                for item in task * ITEMS..(task + 1) * ITEMS {
                    sum += batcher.submit(item).await.expect("an answer");
                }
                sum
            })
        });
        check(runtime.block_on(join_all(tasks)).into_iter());
    });
    let batcher = peer();
    comparison.add("batch_aint_one", move || {
        let tasks = (0..TASKS).map(|task| {
            let batcher = batcher.clone();
            tokio::spawn(async move {
                let mut sum = 0;
                for item in task * ITEMS..(task + 1) * ITEMS {
                    sum += batcher.add((), item).await.expect("an answer");
                }
                sum
            })
        });
        check(runtime.block_on(join_all(tasks)).into_iter());
    });
    comparison.run(criterion);
}

fn check(sums: impl Iterator<Item = Result<u64, tokio::task::JoinError>>) {
    let sum: u64 = sums.map(|sum| sum.expect("no panic")).sum();
    let items = TASKS * ITEMS;
    assert_eq!(sum, items * (items - 1));
}

/// The median of what one item takes when nothing else is there, from a task of a runtime with threads.
pub(crate) fn idle(_criterion: &mut Criterion) {
    if !harness::is_wanted("bulk/batcher/idle_p50") {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let (ours, theirs, bare) = runtime.block_on(async {
        let (ours, theirs) = (ours(), peer());
        let all = async move {
            let ours = crate::median!(5_000, item => ours.submit(item).await.ok() == Some(item * 2));
            let theirs = crate::median!(5_000, item => theirs.add((), item).await.ok() == Some(item * 2));
            let bare = crate::median!(5_000, item => Doubler.handle(&[item]).await == Ok(vec![Ok(item * 2)]));
            (ours, theirs, bare)
        };
        tokio::spawn(all).await.expect("no panic")
    });
    harness::record("bulk/batcher/idle_p50/batch_aint_one", ours, theirs, "ns");
    harness::record("bulk/batcher/idle_p50/without", ours, bare, "ns");
}

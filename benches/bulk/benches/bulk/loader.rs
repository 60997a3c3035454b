//! 10,000 loads of 1,000 keys in one task, 500 keys a call.

use async_graphql::dataloader::{DataLoader, Loader};
use criterion::Criterion;
use futures_util::future::join_all;
use harness::Comparison;
use perf_bulk::BatchLoader;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::runtime::Runtime;

struct Doubler;

impl Loader<u32> for Doubler {
    type Value = u32;
    type Error = Infallible;

    async fn load(&self, keys: &[u32]) -> Result<HashMap<u32, u32>, Infallible> {
        Ok(keys.iter().map(|key| (*key, key * 2)).collect())
    }
}

pub(crate) fn ten_thousand_loads(criterion: &mut Criterion) {
    let runtime = &Runtime::new().expect("a runtime");
    let mut comparison = Comparison::new("bulk/loader/10k_loads");
    let loader = BatchLoader::builder(|keys: Vec<u32>| async move {
        Ok::<HashMap<u32, u32>, Infallible>(keys.into_iter().map(|key| (key, key * 2)).collect())
    });
    let ours = loader.max_batch(500).build().expect("a loader");
    comparison.add("perfkit", move || {
        let loads = (0..10_000).map(|load| ours.load(load % 1_000));
        let answers = runtime.block_on(join_all(loads));
        check(answers.into_iter().map(|answer| answer.ok().flatten()));
    });
    let _context = runtime.enter();
    let peer = DataLoader::new(Doubler, tokio::spawn).max_batch_size(500);
    comparison.add("async_graphql", move || {
        let loads = (0..10_000).map(|load| peer.load_one(load % 1_000));
        let answers = runtime.block_on(join_all(loads));
        check(answers.into_iter().map(|answer| answer.ok().flatten()));
    });
    comparison.run(criterion);
}

/// Counts its calls, and keeps the largest batch.
#[derive(Clone, Default)]
struct Counting(Arc<(AtomicUsize, AtomicUsize)>);

impl Counting {
    fn answer(&self, keys: &[u32]) -> HashMap<u32, u32> {
        self.0.0.fetch_add(1, Relaxed);
        self.0.1.fetch_max(keys.len(), Relaxed);
        keys.iter().map(|key| (*key, key * 2)).collect()
    }
}

impl Loader<u32> for Counting {
    type Value = u32;
    type Error = Infallible;

    async fn load(&self, keys: &[u32]) -> Result<HashMap<u32, u32>, Infallible> {
        Ok(self.answer(keys))
    }
}

/// The calls that the same loads make from 10,000 tasks of a runtime with threads.
pub(crate) fn spawned(_criterion: &mut Criterion) {
    const ROUNDS: usize = 20;
    if !harness::is_wanted("bulk/loader/10k_spawned") {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let (mine, theirs) = (Counting::default(), Counting::default());
    runtime.block_on(async {
        for _ in 0..ROUNDS {
            let counting = mine.clone();
            let loader = BatchLoader::builder(move |keys: Vec<u32>| {
                let counting = counting.clone();
                async move { Ok::<_, Infallible>(counting.answer(&keys)) }
            });
            let loader = loader.max_batch(500).build().expect("a loader");
            let loads = (0..10_000).map(|load| {
                let loader = loader.clone();
                tokio::spawn(async move { loader.load(load % 1_000).await.ok().flatten() })
            });
            let answers = join_all(loads).await.into_iter();
            check(answers.map(|answer| answer.expect("no panic")));

            let loader = DataLoader::new(theirs.clone(), tokio::spawn).max_batch_size(500);
            let loader = Arc::new(loader);
            let loads = (0..10_000).map(|load| {
                let loader = Arc::clone(&loader);
                tokio::spawn(async move { loader.load_one(load % 1_000).await.ok().flatten() })
            });
            let answers = join_all(loads).await.into_iter();
            check(answers.map(|answer| answer.expect("no panic")));
        }
    });
    assert!(mine.0.1.load(Relaxed) <= 500, "no batch above the maximum");
    let calls = |counting: &Counting| counting.0.0.load(Relaxed) as f64 / ROUNDS as f64;
    let largest = [&mine, &theirs].map(|counting| counting.0.1.load(Relaxed));
    eprintln!("the largest batches were {largest:?}");
    let id = "bulk/loader/10k_spawned/async_graphql";
    harness::record(id, calls(&mine), calls(&theirs), "calls");
}

/// The median of what one load takes when nothing else is there, from a task of a runtime with threads.
pub(crate) fn idle(_criterion: &mut Criterion) {
    if !harness::is_wanted("bulk/loader/idle_p50") {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let (ours, theirs) = runtime.block_on(async {
        let all = async {
            let ours = BatchLoader::new(|keys: Vec<u32>| async move {
                Ok::<HashMap<u32, u32>, Infallible>(
                    keys.into_iter().map(|key| (key, key * 2)).collect(),
                )
            });
            let theirs = DataLoader::new(Doubler, tokio::spawn);
            let ours =
                crate::median!(2_000, key => ours.load(key).await.ok().flatten() == Some(key * 2));
            let theirs =
                crate::median!(200, key => theirs.load_one(key).await == Ok(Some(key * 2)));
            (ours, theirs)
        };
        tokio::spawn(all).await.expect("no panic")
    });
    harness::record("bulk/loader/idle_p50/async_graphql", ours, theirs, "ns");
}

fn check(answers: impl Iterator<Item = Option<u32>>) {
    let wrong = (0..)
        .zip(answers)
        .find(|(load, answer)| *answer != Some(load % 1_000 * 2));
    assert_eq!(wrong, None);
}

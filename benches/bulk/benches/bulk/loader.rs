//! 10,000 loads of 1,000 keys in one task, 500 keys a call.

use async_graphql::dataloader::{DataLoader, Loader};
use criterion::Criterion;
use futures_util::future::join_all;
use harness::Comparison;
use perf_bulk::BatchLoader;
use std::collections::HashMap;
use std::convert::Infallible;
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

fn check(answers: impl Iterator<Item = Option<u32>>) {
    let wrong = (0..)
        .zip(answers)
        .find(|(load, answer)| *answer != Some(load % 1_000 * 2));
    assert_eq!(wrong, None);
}

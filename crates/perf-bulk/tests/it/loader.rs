use futures_util::FutureExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use perf_bulk::{BatchLoader, BulkError, LoadError, Loaded, Loader};
use perf_core::{Inspect, ManualClock, Registry};
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Answers a number with its double, for those below 10,000, and remembers what it was asked.
#[derive(Clone, Default)]
struct Doubler {
    calls: Arc<Mutex<Vec<Vec<u32>>>>,
    gate: Option<Arc<Semaphore>>,
}

impl Doubler {
    fn gated() -> Self {
        Self {
            gate: Some(Arc::new(Semaphore::new(0))),
            ..Self::default()
        }
    }

    fn open(&self, calls: usize) {
        self.gate.as_ref().unwrap().add_permits(calls);
    }

    fn calls(&self) -> Vec<Vec<u32>> {
        self.calls.lock().clone()
    }
}

impl Loader<u32> for Doubler {
    type Value = u32;
    type Error = io::Error;

    async fn load(&self, keys: Vec<u32>) -> Result<Loaded<u32, u32, io::Error>, io::Error> {
        self.calls.lock().push(keys.clone());
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        match keys.as_slice() {
            [.., 666] => return Err(io::Error::other("the batch failed")),
            [.., 777] => panic!("the loader panicked"),
            _ => {}
        }
        let known = keys.iter().filter(|key| **key < 10_000);
        let loaded = Loaded::from(known.map(|key| (*key, key * 2)).collect::<HashMap<_, _>>());
        Ok(match keys.contains(&13) {
            true => loaded.with_failure(13, io::Error::other("unlucky")),
            false => loaded,
        })
    }
}

fn loader(doubler: &Doubler, max_batch: usize) -> BatchLoader<u32, u32, io::Error> {
    BatchLoader::builder(doubler.clone())
        .max_batch(max_batch)
        .build()
        .unwrap()
}

#[tokio::test]
async fn ten_thousand_loads_of_one_task_are_the_fewest_calls_every_time() {
    for _ in 0..20 {
        let doubler = Doubler::default();
        let loader = loader(&doubler, 500);
        let key = |load: u32| 1_000 + load % 1_000;
        let answers = join_all((0..10_000).map(|load| loader.load(key(load)))).await;
        for (answer, load) in answers.into_iter().zip(0..) {
            assert_eq!(answer.unwrap(), Some(key(load) * 2));
        }
        let sizes: Vec<_> = doubler.calls().iter().map(Vec::len).collect();
        assert_eq!(sizes, [500, 500]);
    }
}

#[tokio::test]
async fn ten_thousand_tasks_of_one_thread_are_the_fewest_calls() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 500);
    let loads = (0..10_000).map(|load| {
        let loader = loader.clone();
        tokio::spawn(async move { loader.load(1_000 + load % 1_000).await.unwrap() })
    });
    for answer in join_all(loads).await {
        assert!(answer.unwrap().is_some());
    }
    let calls = doubler.calls();
    assert!(calls.iter().all(|call| call.len() <= 500));
    println!("{} calls", calls.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loads_of_many_tasks_get_their_answers_in_batches_within_the_maximum() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 100);
    let tasks: Vec<_> = (0..3_000_u32)
        .map(|load| {
            let loader = loader.clone();
            tokio::spawn(async move { (load, loader.load(1_000 + load % 700).await.unwrap()) })
        })
        .collect();
    for task in tasks {
        let (load, value) = task.await.unwrap();
        assert_eq!(value, Some((1_000 + load % 700) * 2));
    }
    for call in doubler.calls() {
        assert!(call.len() <= 100);
        assert_eq!(call.iter().collect::<HashSet<_>>().len(), call.len());
    }
}

#[tokio::test]
async fn a_partial_batch_waits_for_the_one_in_flight_and_grows() {
    let doubler = Doubler::gated();
    let loader = loader(&doubler, 100);
    let spawn = |key| {
        let loader = loader.clone();
        tokio::spawn(async move { loader.load(key).await.unwrap() })
    };
    let first = spawn(1);
    while doubler.calls().is_empty() {
        yield_now().await;
    }
    let mut more = Vec::new();
    for key in 2..6 {
        more.push(spawn(key));
        for _ in 0..5 {
            yield_now().await;
        }
    }
    assert_eq!(doubler.calls(), [vec![1]]);
    doubler.open(2);
    first.await.unwrap();
    for task in more {
        task.await.unwrap();
    }
    assert_eq!(doubler.calls(), [vec![1], vec![2, 3, 4, 5]]);
}

#[tokio::test]
async fn errors_are_those_of_the_key_or_of_the_whole_batch() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 100);
    let (unlucky, lucky, nobody) =
        tokio::join!(loader.load(13), loader.load(14), loader.load(20_000));
    assert!(matches!(unlucky, Err(LoadError::Failed(error)) if error.to_string() == "unlucky"));
    assert_eq!((lucky.unwrap(), nobody.unwrap()), (Some(28), None));

    let (one, other) = tokio::join!(loader.load(1), loader.load(666));
    assert!(
        matches!((one, other), (Err(LoadError::Failed(a)), Err(LoadError::Failed(b))) if Arc::ptr_eq(&a, &b))
    );
    assert_eq!(loader.load(1).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_panic_of_the_loader_is_an_error_for_its_batch_alone() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 100);
    let (one, other) = tokio::join!(loader.load(1), loader.load(777));
    assert!(matches!(
        (one, other),
        (Err(LoadError::Abandoned), Err(LoadError::Abandoned))
    ));
    assert_eq!(loader.load(1).await.unwrap(), Some(2));
}

#[tokio::test]
async fn nobody_is_asked_for_a_key_that_nobody_waits_for() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 100);
    let mut dropped = Box::pin(loader.load(1));
    assert!((&mut dropped).now_or_never().is_none());
    drop(dropped);
    let (mut leader, mut member) = (Box::pin(loader.load(2)), Box::pin(loader.load(3)));
    assert!((&mut leader).now_or_never().is_none());
    assert!((&mut member).now_or_never().is_none());
    drop(leader);
    assert_eq!(member.await.unwrap(), Some(6));
    assert_eq!(doubler.calls(), [vec![3]]);
}

#[tokio::test]
async fn a_leader_that_is_never_polled_again_delays_others_by_two_periods_at_most() {
    let clock = ManualClock::new();
    let doubler = Doubler::default();
    let loader = BatchLoader::builder(doubler.clone())
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let mut leader = Box::pin(loader.load(1));
    assert!((&mut leader).now_or_never().is_none());
    let member = tokio::spawn({
        let loader = loader.clone();
        async move { loader.load(2).await }
    });
    yield_now().await;
    assert!(doubler.calls().is_empty());
    for _ in 0..3 {
        clock.advance(Duration::from_millis(1));
        for _ in 0..5 {
            yield_now().await;
        }
    }
    assert_eq!(member.await.unwrap().unwrap(), Some(4));
    assert_eq!(doubler.calls(), [vec![1, 2]]);
    assert_eq!(leader.await.unwrap(), Some(2));
}

#[tokio::test]
async fn the_watchdog_sleeps_with_the_loader_and_wakes_with_it() {
    let clock = ManualClock::new();
    let doubler = Doubler::default();
    let loader = BatchLoader::builder(doubler.clone())
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    for round in 1..=2 {
        let mut stuck = Box::pin(loader.load(round));
        assert!((&mut stuck).now_or_never().is_none());
        // Long enough for a watchdog to release what is stuck, and then to end.
        for _ in 0..300 {
            yield_now().await;
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(stuck.await.unwrap(), Some(round * 2));
    }
    assert_eq!(doubler.calls(), [vec![1], vec![2]]);
}

/// Polls a load as a scheduler would.
fn turn<F: Future + Unpin>(load: &mut F) -> Option<F::Output> {
    load.now_or_never()
}

#[tokio::test]
async fn a_leader_waits_while_others_arrive_but_no_longer_than_a_millisecond() {
    let clock = ManualClock::new();
    let doubler = Doubler::default();
    let loader = BatchLoader::builder(doubler.clone())
        .clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let asked = async || {
        for _ in 0..5 {
            yield_now().await;
        }
        doubler.calls()
    };
    let mut leader = loader.load(1);
    assert!(turn(&mut leader).is_none());
    let mut others: Vec<_> = (2..6).map(|key| loader.load(key)).collect();
    for other in &mut others {
        assert!(turn(other).is_none());
        assert!(turn(&mut leader).is_none());
        assert!(asked().await.is_empty(), "more arrived at every turn");
    }
    assert!(turn(&mut leader).is_none());
    assert_eq!(asked().await, [vec![1, 2, 3, 4, 5]], "nobody came");

    let mut leader = loader.load(11);
    assert!(turn(&mut leader).is_none());
    let mut other = loader.load(12);
    assert!(turn(&mut other).is_none());
    clock.advance(Duration::from_millis(1));
    assert!(turn(&mut leader).is_none());
    assert_eq!(asked().await[1..], [vec![11, 12]], "its time is over");
}

#[tokio::test]
async fn a_load_dropped_at_any_poll_holds_nobody_up() {
    for polls in 0..4 {
        let doubler = Doubler::default();
        let loader = loader(&doubler, 100);
        crate::support::poll_at_most(loader.load(1), polls).await;
        assert_eq!(loader.load(2).await.unwrap(), Some(4));
        let asked: Vec<_> = doubler.calls().concat();
        assert_eq!(asked.iter().filter(|key| **key == 2).count(), 1);
    }
}

#[tokio::test]
async fn a_request_cache_asks_once_and_its_neighbour_asks_again() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 100);
    let (request, other) = (loader.request_cache(), loader.request_cache());
    let (a, b, c) = tokio::join!(request.load(1), request.load(1), other.load(1));
    assert_eq!([a, b, c].map(Result::unwrap), [Some(2); 3]);
    assert_eq!(request.load(1).await.unwrap(), Some(2));
    assert_eq!(doubler.calls(), [vec![1]]);
    request.prime(5, 55);
    assert_eq!(request.load(5).await.unwrap(), Some(55));
    request.forget(&5);
    assert_eq!(request.load(5).await.unwrap(), Some(10));
    assert!(request.load(13).await.is_err());
    assert!(request.load(13).await.is_err());
    assert_eq!(doubler.calls(), [vec![1], vec![5], vec![13], vec![13]]);
}

#[tokio::test]
async fn many_keys_are_one_call() {
    let doubler = Doubler::default();
    let loader = loader(&doubler, 100);
    let found = loader.load_many([1, 2, 20_000, 1]).await.unwrap();
    assert_eq!(found, HashMap::from([(1, 2), (2, 4)]));
    assert_eq!(doubler.calls(), [vec![1, 2, 20_000]]);
    let mut samples = Vec::new();
    loader.samples(&mut samples);
    let json = serde_json::to_value(&samples).unwrap();
    let counters: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["value"]["counter"].as_u64())
        .collect();
    assert_eq!(counters[..4], [Some(4), Some(3), Some(1), Some(0)]);
}

#[test]
fn a_registered_loader_is_shown_while_a_handle_of_it_lives() {
    let registry = Registry::new();
    let loader = loader(&Doubler::default(), 1);
    loader.register(&registry);
    let other = loader.clone();
    drop(loader);
    let shown = registry.inspect();
    assert_eq!((shown.len(), shown[0].kind), (1, "batch_loader"));
    drop(other);
    assert!(registry.inspect().is_empty());
}

#[test]
fn without_a_runtime_a_load_says_so() {
    let loader = loader(&Doubler::default(), 1);
    let mut load = loader.load(1);
    assert!((&mut load).now_or_never().is_none(), "it leads");
    assert!(matches!(
        load.now_or_never(),
        Some(Err(LoadError::Abandoned))
    ));
}

#[test]
fn a_maximum_of_zero_is_a_configuration_error() {
    let built = BatchLoader::builder(Doubler::default())
        .max_batch(0)
        .build();
    assert!(matches!(built, Err(BulkError::Config(_))));
}

#[tokio::test]
async fn a_batch_runs_in_the_span_of_the_load_that_released_it() {
    use tracing::Instrument as _;
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
    let spans = BatchLoader::new(|keys: Vec<u32>| async move {
        let span = tracing::Span::current().id();
        Ok::<_, io::Error>(keys.into_iter().map(|key| (key, span.clone())).collect())
    });
    let request = tracing::info_span!("request");
    let seen = spans.load(1).instrument(request.clone()).await.unwrap();
    assert!(request.id().is_some());
    assert_eq!(seen, Some(request.id()));
}

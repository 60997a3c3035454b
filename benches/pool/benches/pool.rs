//! The pool against deadpool, bb8 and sqlx's own.

#[path = "pool/objects.rs"]
mod objects;
#[path = "pool/peers.rs"]
mod peers;
#[path = "pool/query.rs"]
mod query;

use criterion::{Criterion, criterion_group, criterion_main};
use harness::Comparison;
use peers::{Bb8, Deadpool, Ours, Peer};
use perf_core::Histogram;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// What a holder does with its item.
#[derive(Clone, Copy)]
enum Hold {
    Yield,
    OneMillisecond,
}

/// How many want how many items, and for how long.
#[derive(Clone, Copy)]
struct Workload {
    tasks: u64,
    items: u32,
    hold: Hold,
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("threads can be had")
}

/// One task alone with one item.
fn uncontended(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut comparison = Comparison::new("pool/acquire/uncontended");
    comparison.add_timed("perfkit", |count| time_alone::<Ours>(&runtime, count));
    comparison.add_timed("deadpool", |count| time_alone::<Deadpool>(&runtime, count));
    comparison.add_timed("bb8", |count| time_alone::<Bb8>(&runtime, count));
    comparison.run(criterion);
}

fn time_alone<P: Peer>(runtime: &Runtime, count: u64) -> Duration {
    let pool = runtime.block_on(P::filled(1));
    let task = async move {
        let start = Instant::now();
        for _ in 0..count {
            let item = pool.acquire().await;
            assert_eq!(P::number(&item), 0);
        }
        start.elapsed()
    };
    runtime
        .block_on(runtime.spawn(task))
        .expect("the task ends")
}

fn contended(criterion: &mut Criterion) {
    let crowd = |tasks, items, hold| Workload { tasks, items, hold };
    let yielding = crowd(1_000, 50, Hold::Yield);
    compare_crowd(
        criterion,
        "pool/acquire/1000_tasks_50_items_yield",
        yielding,
    );
    let few = crowd(64, 8, Hold::Yield);
    compare_crowd(criterion, "pool/acquire/64_tasks_8_items_yield", few);
    let slow = crowd(1_000, 50, Hold::OneMillisecond);
    compare_crowd(criterion, "pool/acquire/1000_tasks_50_items_1ms", slow);
}

fn compare_crowd(criterion: &mut Criterion, id: &'static str, workload: Workload) {
    let runtime = runtime();
    let mut comparison = Comparison::new(id);
    comparison.add_timed("perfkit", |count| {
        time_crowd::<Ours>(&runtime, workload, count, None)
    });
    comparison.add_timed("deadpool", |count| {
        time_crowd::<Deadpool>(&runtime, workload, count, None)
    });
    comparison.run(criterion);
}

/// Acquires `count` times in all, by all tasks together, and records the waits if asked to: two clock
/// reads and a shared counter would weigh as much as the pools themselves. The time from the first start to the last end,
/// as the tasks themselves see it: spawning is no part of it.
fn time_crowd<P: Peer>(
    runtime: &Runtime,
    workload: Workload,
    count: u64,
    waits: Option<&Arc<Histogram>>,
) -> Duration {
    let pool = runtime.block_on(P::filled(workload.items));
    // At least one acquire each, so that the crowd is there; the time is scaled back.
    let turns = count.div_ceil(workload.tasks).max(8);
    let tasks: Vec<_> = (0..workload.tasks)
        .map(|_| {
            let (pool, waits) = (pool.clone(), waits.cloned());
            runtime.spawn(async move {
                let start = Instant::now();
                for _ in 0..turns {
                    take_and_hold(&pool, workload, waits.as_deref()).await;
                }
                (start, Instant::now())
            })
        })
        .collect();
    let ends: Vec<_> = tasks
        .into_iter()
        .map(|task| runtime.block_on(task).expect("the task ends"))
        .collect();
    let first = ends
        .iter()
        .map(|(start, _)| *start)
        .min()
        .expect("there are tasks");
    let last = ends
        .iter()
        .map(|(_, end)| *end)
        .max()
        .expect("there are tasks");
    let share = count as f64 / (turns * workload.tasks) as f64;
    (last - first).mul_f64(share)
}

async fn take_and_hold<P: Peer>(pool: &P, workload: Workload, waits: Option<&Histogram>) {
    let start = waits.map(|waits| (waits, Instant::now()));
    let item = pool.acquire().await;
    if let Some((waits, start)) = start {
        waits.record_duration(start.elapsed());
    }
    assert!(P::number(&item) < u64::from(workload.items));
    match workload.hold {
        Hold::Yield => tokio::task::yield_now().await,
        Hold::OneMillisecond => tokio::time::sleep(Duration::from_millis(1)).await,
    }
}

/// The longest of a thousand waits, in turns and as the median over rounds.
fn tail_of_waits(_: &mut Criterion) {
    let runtime = runtime();
    let rounds = if harness::is_quick() { 1 } else { 5 };
    let mut tails = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        tails[0].push(p999::<Ours>(&runtime));
        tails[1].push(p999::<Deadpool>(&runtime));
        tails[2].push(p999::<Bb8>(&runtime));
    }
    let [ours, deadpool, bb8] = tails.map(|mut tail| {
        tail.sort_by(f64::total_cmp);
        tail[tail.len() / 2]
    });
    let id = |peer| format!("pool/wait_p999/1000_tasks_50_items_1ms/{peer}");
    harness::record(&id("deadpool"), ours, deadpool, "ms");
    harness::record(&id("bb8"), ours, bb8, "ms");
}

fn p999<P: Peer>(runtime: &Runtime) -> f64 {
    let workload = Workload {
        tasks: 1_000,
        items: 50,
        hold: Hold::OneMillisecond,
    };
    let waits = Arc::new(Histogram::new());
    time_crowd::<P>(runtime, workload, 20_000, Some(&waits));
    waits.snapshot().quantile(0.999).as_secs_f64() * 1e3
}

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = uncontended, contended, tail_of_waits, objects::two_threads, query::query_cycle
);
criterion_main!(benches);

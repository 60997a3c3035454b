//! Memory by function and by request, in a process whose allocations are counted.

use perf_profile::{
    FunctionStats, MemoryStats, Profiler, ProfilingAllocator, RequestScope, Snapshot, profile,
    profiled, span,
};
use std::alloc::System;
use std::hint::black_box;
use tracing_subscriber::layer::SubscriberExt;

#[global_allocator]
static ALLOCATOR: ProfilingAllocator<System> = ProfilingAllocator::new(System);

fn function<'a>(snapshot: &'a Snapshot, name: &str) -> &'a FunctionStats {
    let mut functions = snapshot.functions().iter();
    functions.find(|function| function.name == name).unwrap()
}

/// Bytes, own bytes, allocations, net and peak.
fn figures(memory: &MemoryStats) -> (u64, u64, u64, i64, u64) {
    (
        memory.bytes,
        memory.own_bytes,
        memory.allocations,
        memory.net,
        memory.peak,
    )
}

fn block(bytes: usize) -> Vec<u8> {
    black_box(Vec::with_capacity(black_box(bytes)))
}

#[test]
fn a_function_knows_what_it_allocates_itself_and_through_others() {
    let profiler = Profiler::builder().build();
    profiler.verify_allocator().unwrap();
    let kept = {
        let _outer = span!("memory outer");
        let kept = block(1_000);
        for _ in 0..3 {
            let _inner = span!("memory inner");
            drop(block(200));
        }
        kept
    };
    let snapshot = profiler.snapshot();
    // The first inner span also allocates its own node, which is its caller's.
    let inner = function(&snapshot, "memory inner").memory;
    assert_eq!(figures(&inner), (600, 600, 3, 0, 200));
    let outer = function(&snapshot, "memory outer").memory;
    assert!(outer.own_bytes >= 1_000, "{outer:?}");
    assert_eq!(outer.bytes - outer.own_bytes, 600);
    assert!(outer.net >= 1_000 && outer.peak >= 1_200, "{outer:?}");
    drop(kept);
}

#[test]
fn memory_that_is_freed_elsewhere_is_negative_there() {
    let profiler = Profiler::builder().build();
    let block = block(5_000);
    {
        let _span = span!("memory freed");
        drop(block);
    }
    let snapshot = profiler.snapshot();
    let freed = function(&snapshot, "memory freed").memory;
    assert_eq!(figures(&freed), (0, 0, 0, -5_000, 0));
}

#[test]
fn futures_are_counted_poll_by_poll_on_any_thread() {
    let profiler = Profiler::builder().build();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let work = || async {
        for _ in 0..10 {
            drop(block(300));
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async {
        // The span's first call on each thread allocates its node, outside itself.
        let tasks: Vec<_> = (0..20)
            .map(|_| tokio::spawn(profiled(work(), || span!("memory polled"))))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let snapshot = profiler.snapshot();
    let polled = function(&snapshot, "memory polled").memory;
    // The runtime keeps a list of the tasks that yield, and that grows now and then.
    assert!((60_000..62_000).contains(&polled.bytes), "{polled:?}");
    assert!((0..2_000).contains(&polled.net), "{polled:?}");
}

/// Allocates at every depth.
#[profile]
fn descend(depth: u32) -> usize {
    let block = block(10);
    if depth == 0 {
        return block.capacity();
    }
    block.capacity() + descend(depth - 1)
}

#[test]
fn ten_thousand_levels_on_eight_threads_are_fine() {
    let profiler = Profiler::builder().build();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let builder = std::thread::Builder::new().stack_size(64 << 20);
            builder.spawn(|| descend(9_999)).unwrap()
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 100_000);
    }
    let snapshot = profiler.snapshot();
    let descend = function(&snapshot, "descend");
    assert_eq!(descend.calls, 8 * 128);
    // What lies too deep for a node of its own counts for the deepest that has one. Nodes count, too.
    assert!(descend.memory.bytes >= 800_000, "{descend:?}");
    assert!(descend.memory.peak >= 100_000, "{descend:?}");
}

#[test]
fn a_thread_may_allocate_to_its_very_end() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            let _span = span!("memory at the end");
            drop(block(100));
        }
    }
    thread_local!(static LAST: Last = const { Last });
    let _profiler = Profiler::builder().build();
    for _ in 0..10 {
        let thread = std::thread::spawn(|| LAST.with(|_| drop(span!("memory at the end"))));
        thread.join().unwrap();
    }
}

#[test]
fn a_request_knows_what_it_allocates() {
    let profiler = Profiler::builder().build();
    let subscriber = tracing_subscriber::registry().with(profiler.sql_layer());
    tracing::subscriber::with_default(subscriber, || {
        // The first span that a thread enters allocates the thread's stack of spans.
        RequestScope::new("GET /first").in_scope(|| ());
        let request = RequestScope::new("GET /memory");
        request.in_scope(|| drop(block(7_000)));
        drop(block(50_000));
        let run = request.run(async { drop(block(3_000)) });
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(run);
    });
    let snapshot = profiler.snapshot();
    let mut requests = snapshot.requests().iter();
    let request = requests.find(|request| request.name == "GET /memory");
    let memory = request.unwrap().memory;
    assert_eq!(figures(&memory), (10_000, 10_000, 2, 0, 7_000));
    assert!(snapshot.to_string().contains("10 KiB") || snapshot.to_string().contains("9 KiB"));
}

use criterion::Criterion;
use harness::Comparison;
use perf_pool::ObjectPool;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Two threads that take a buffer, write a byte and give it back, as fast as they can.
pub(crate) fn two_threads(criterion: &mut Criterion) {
    let ours = ObjectPool::new(64, || Vec::<u8>::with_capacity(64)).with_reset(Vec::clear);
    let peer = Mutex::new(Vec::<Vec<u8>>::new());
    let mut comparison = Comparison::new("pool/object_pool/2_threads");
    comparison.add_timed("perfkit", |count| {
        time_both(count, || {
            let mut buffer = ours.take();
            assert!(buffer.is_empty());
            buffer.push(1);
        })
    });
    comparison.add_timed("mutex_vec", |count| {
        time_both(count, || {
            let kept = peer.lock().expect("nobody panics").pop();
            let mut buffer = kept.unwrap_or_else(|| Vec::with_capacity(64));
            assert!(buffer.is_empty());
            buffer.push(1);
            buffer.clear();
            peer.lock().expect("nobody panics").push(buffer);
        })
    });
    comparison.run(criterion);
}

/// Half of `count` on each of two threads that start together.
fn time_both(count: u64, cycle: impl Fn() + Sync) -> Duration {
    let barrier = std::sync::Barrier::new(2);
    let work = || {
        barrier.wait();
        let start = Instant::now();
        for _ in 0..count.div_ceil(2) {
            cycle();
        }
        (start, Instant::now())
    };
    let ((start, end), (other_start, other_end)) = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        (work(), other.join().expect("the thread ends"))
    });
    end.max(other_end) - start.min(other_start)
}

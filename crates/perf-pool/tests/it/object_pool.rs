use perf_pool::{Loan, ObjectPool};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

fn counted(capacity: usize) -> (ObjectPool<usize>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    (
        ObjectPool::new(capacity, move || counter.fetch_add(1, SeqCst)),
        made,
    )
}

#[test]
fn a_returned_object_is_taken_again() {
    let (pool, made) = counted(4);
    for _ in 0..10 {
        assert_eq!(*pool.take(), 0);
    }
    assert_eq!((made.load(SeqCst), pool.kept()), (1, 1));
    pool.clear();
    assert_eq!(pool.kept(), 0);
    assert_eq!(*pool.take(), 1);
}

#[test]
fn no_more_than_the_capacity_is_kept() {
    let (pool, _) = counted(4);
    let all: Vec<_> = (0..100).map(|_| pool.take()).collect();
    drop(all);
    assert_eq!(pool.kept(), 4);
    let (nothing, _) = counted(0);
    drop(nothing.take());
    assert_eq!(nothing.kept(), 0);
}

#[test]
fn a_detached_object_does_not_come_back() {
    let (pool, made) = counted(4);
    assert_eq!(Loan::detach(pool.take()), 0);
    assert_eq!((*pool.take(), made.load(SeqCst)), (1, 2));
}

#[test]
fn no_two_threads_hold_the_same_object() {
    let (pool, made) = counted(64);
    let held: Vec<_> = (0..10_000).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let object = pool.take();
                    assert_eq!(held[*object].fetch_add(1, SeqCst), 0);
                    std::hint::spin_loop();
                    held[*object].fetch_sub(1, SeqCst);
                }
            });
        }
    });
    assert!(made.load(SeqCst) < 10_000);
}

//! Pools of workers.

use crate::support::{TestResult, poll_at_most, settle};
use perf_core::{Clock, ManualClock, SystemClock};
use perf_pool::{BlockingPool, JobError, WorkerPool};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);

/// A job that runs until it is told to end.
fn busy() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
    let (end, ended) = mpsc::channel::<()>();
    let work = move || {
        let _ended = ended.recv();
    };
    (end, work)
}

#[tokio::test]
async fn never_more_threads_work_than_allowed() -> TestResult {
    let pool = BlockingPool::new(3, 1_000);
    let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let jobs = (0..200).map(|number| {
        let (pool, working, most) = (pool.clone(), working.clone(), most.clone());
        tokio::spawn(async move {
            let work = move || {
                most.fetch_max(working.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::yield_now();
                working.fetch_sub(1, SeqCst);
                number
            };
            assert_eq!(pool.run(work).await, Ok(number));
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await?;
    }
    assert!((1..=3).contains(&most.load(SeqCst)), "{most:?}");
    assert_eq!(pool.drain(30 * SECOND).await, 0);
    let figures = pool.figures();
    assert_eq!((figures.completed, figures.running), (200, 0));
    Ok(())
}

#[tokio::test]
async fn an_expired_job_is_dropped_unstarted() -> TestResult {
    let clock = ManualClock::new();
    let pool = BlockingPool::with_limit(1, 10, SECOND, clock.clone());
    let (end, work) = busy();
    let started = Arc::new(AtomicUsize::new(0));
    let running = pool.run(work);
    let late = pool.run({
        let started = Arc::clone(&started);
        move || started.fetch_add(1, SeqCst)
    });
    tokio::pin!(running, late);
    assert!(futures_util::poll!(running.as_mut()).is_pending());
    while pool.figures().waiting > 0 {
        tokio::task::yield_now().await;
    }
    assert!(futures_util::poll!(late.as_mut()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(late.await, Err(JobError::Expired));
    drop(end);
    assert_eq!(
        running.await,
        Ok(()),
        "a job that has started runs to its end"
    );
    assert_eq!(pool.drain(SECOND).await, 0);
    let figures = pool.figures();
    assert_eq!(
        (started.load(SeqCst), figures.expired, figures.completed),
        (0, 1, 1)
    );
    Ok(())
}

#[tokio::test]
async fn a_job_whose_caller_has_gone_is_dropped_unstarted_and_makes_room() -> TestResult {
    let pool = BlockingPool::new(1, 2);
    let (end, work) = busy();
    let running = pool.run(work);
    tokio::pin!(running);
    assert!(futures_util::poll!(running.as_mut()).is_pending());
    while pool.figures().waiting > 0 {
        tokio::task::yield_now().await;
    }
    let started = Arc::new(AtomicUsize::new(0));
    for _ in 0..50 {
        let started = Arc::clone(&started);
        let job = pool.run(move || started.fetch_add(1, SeqCst));
        assert!(poll_at_most(1, job).await.is_none());
    }
    drop(end);
    running.await?;
    assert_eq!(pool.drain(30 * SECOND).await, 0);
    let figures = pool.figures();
    assert_eq!(
        (started.load(SeqCst), figures.abandoned, figures.refused),
        (0, 50, 0)
    );
    Ok(())
}

#[tokio::test]
async fn the_queue_has_an_end() -> TestResult {
    let pool = WorkerPool::new(1, 1);
    let (end, ended) = oneshot::channel::<()>();
    let running = pool.run(ended);
    let waiting = pool.run(async { 7 });
    tokio::pin!(running, waiting);
    assert!(futures_util::poll!(running.as_mut()).is_pending());
    settle().await;
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    assert_eq!(pool.run(async {}).await, Err(JobError::Full));
    end.send(()).map_err(|()| "it was dropped")?;
    assert_eq!(waiting.await, Ok(7));
    assert_eq!(pool.figures().refused, 1);
    Ok(())
}

#[tokio::test]
async fn a_panic_costs_its_caller_and_nobody_else() -> TestResult {
    let blocking = BlockingPool::new(1, 10);
    let workers = WorkerPool::new(1, 10);
    for _ in 0..3 {
        let outcome = blocking.run(|| panic!("on purpose")).await;
        assert_eq!(outcome, Err::<(), _>(JobError::Panicked));
        let outcome = workers.run(async { panic!("on purpose") }).await;
        assert_eq!(outcome, Err::<(), _>(JobError::Panicked));
    }
    assert_eq!(blocking.run(|| 1).await, Ok(1));
    assert_eq!(workers.run(async { 2 }).await, Ok(2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_what_there_is_and_refuses_the_rest() -> TestResult {
    let pool = WorkerPool::new(2, 100);
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(SystemClock.sleep(SECOND)).await })
        })
        .collect();
    settle().await;
    let start = SystemClock.now();
    assert_eq!(pool.drain(60 * SECOND).await, 0);
    let took = SystemClock.now().since(start);
    // Two at a time; by the sixth second those expire that were not started within five.
    assert_eq!(took.as_secs(), 5);
    assert_eq!(pool.run(async {}).await, Err(JobError::Closed));
    for job in jobs {
        assert_eq!(job.await?, Ok(()));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_grace_that_is_too_short_says_what_it_gave_up() -> TestResult {
    let pool = WorkerPool::new(1, 100);
    let jobs: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(SystemClock.sleep(4 * SECOND)).await })
        })
        .collect();
    settle().await;
    assert_eq!(pool.drain(SECOND).await, 4);
    let outcomes = futures_util::future::join_all(jobs).await;
    let outcomes: Vec<_> = outcomes.into_iter().collect::<Result<_, _>>()?;
    let closed = Err(JobError::Closed);
    assert_eq!(outcomes, [Ok(()), closed, closed, closed]);
    Ok(())
}

#[tokio::test]
async fn jobs_cancelled_at_any_poll_leave_the_pool_whole() -> TestResult {
    let pool = WorkerPool::new(2, 100);
    for polls in (0..6).cycle().take(300) {
        let job = pool.run(async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
        let _cancelled = poll_at_most(polls, job).await;
        assert_eq!(pool.run(async { 1 }).await, Ok(1));
    }
    settle().await;
    assert_eq!((pool.figures().running, pool.figures().waiting), (0, 0));
    Ok(())
}

#[test]
fn a_lost_runtime_strands_nobody() -> TestResult {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
    };
    let (first, second) = (runtime()?, runtime()?);
    let pool = WorkerPool::new(1, 10);
    let mut stuck = Box::pin(pool.run(std::future::pending::<()>()));
    first.block_on(async {
        assert!(futures_util::poll!(stuck.as_mut()).is_pending());
        settle().await;
    });
    drop(first);
    assert_eq!(second.block_on(stuck), Err(JobError::Panicked));
    assert_eq!(second.block_on(pool.run(async { 3 })), Ok(3));
    Ok(())
}

#[test]
fn without_a_runtime_there_is_a_clear_error() {
    let pool = BlockingPool::new(1, 1);
    let outcome = futures_util::FutureExt::now_or_never(pool.run(|| ()));
    assert_eq!(outcome, Some(Err(JobError::NoRuntime)));
}

#[cfg(feature = "rayon")]
#[tokio::test]
async fn computations_run_on_threads_of_their_own() -> TestResult {
    let pool = perf_pool::CpuPool::new(2, 100)?;
    let here = std::thread::current().id();
    let jobs = (0..50_u64).map(|number| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let work = move || (std::thread::current().id(), (0..=number).sum::<u64>());
            (number, pool.run(work).await)
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        let (number, outcome) = job.await?;
        let (thread, sum) = outcome?;
        assert_eq!(sum, number * (number + 1) / 2);
        assert_ne!(thread, here);
    }
    assert_eq!(pool.drain(30 * SECOND).await, 0);
    assert_eq!(pool.figures().completed, 50);
    Ok(())
}

/// What a job holds whose destructor is somebody's code.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[tokio::test]
async fn a_destructor_that_panics_harms_no_other_job() -> TestResult {
    // One that is dropped to make room, and one that the worker finds.
    for max_waiting in [1, 10] {
        let pool = WorkerPool::new(1, max_waiting);
        let (end, ended) = oneshot::channel::<()>();
        let running = pool.run(ended);
        let bomb = OnDrop(|| panic!("a job was dropped"));
        let doomed = pool.run(async move { drop(bomb) });
        let next = pool.run(async { 7 });
        tokio::pin!(running, next);
        assert!(futures_util::poll!(running.as_mut()).is_pending());
        settle().await;
        assert!(poll_at_most(1, doomed).await.is_none());
        assert!(futures_util::poll!(next.as_mut()).is_pending());
        drop(end);
        assert!(running.await?.is_err());
        assert_eq!(next.await, Ok(7));
    }
    Ok(())
}

/// In a thread of its own, because a lock taken twice would hold it for ever.
#[test]
fn a_destructor_may_look_at_the_pool() -> TestResult {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || -> TestResult {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        runtime.block_on(async {
            let pool = WorkerPool::new(1, 1);
            let (_end, ended) = oneshot::channel::<()>();
            let running = pool.run(ended);
            tokio::pin!(running);
            assert!(futures_util::poll!(running.as_mut()).is_pending());
            settle().await;
            let looks = OnDrop({
                let pool = pool.clone();
                move || {
                    let _figures = pool.figures();
                }
            });
            let doomed = pool.run(async move { drop(looks) });
            assert!(poll_at_most(1, doomed).await.is_none());
            let next = pool.run(async {});
            assert!(poll_at_most(1, next).await.is_none());
            Ok(sender.send(pool.figures().abandoned)?)
        })
    });
    assert_eq!(receiver.recv_timeout(30 * SECOND)?, 2);
    Ok(())
}

use crate::support::{Probe, Refused, TestResult, settle};
use perf_core::{Backoff, Clock, ManualClock, SystemClock};
use perf_pool::{CloseReason, Pool, from_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn only_what_was_idle_is_checked() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().build()?;
    for _ in 0..100 {
        drop(pool.acquire().await?);
    }
    assert_eq!(probe.0.checks.load(SeqCst), 0);
    tokio::time::advance(2 * SECOND).await;
    for _ in 0..100 {
        drop(pool.acquire().await?);
    }
    assert_eq!((probe.0.checks.load(SeqCst), probe.created()), (1, 1));
    assert_eq!(pool.metrics().check.count, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_return_serves_the_waiter_before_its_connect_is_done() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).build()?;
    let held = pool.acquire().await?;
    probe.0.create_millis.store(60_000, SeqCst);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    assert_eq!(pool.status().connecting, 1);
    drop(held);
    assert_eq!(waiting.await??, 0);
    Ok(())
}

/// 50 short jobs meet a pool of 5 idle resources whose server takes 150 ms to accept another.
#[tokio::test(start_paused = true)]
async fn a_spike_is_served_from_returns_and_not_by_connecting() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(50).max_connecting(2).build()?;
    let idle: Vec<_> = futures_util::future::join_all((0..5).map(|_| pool.acquire())).await;
    assert!(idle.iter().all(Result::is_ok));
    drop(idle);
    probe.0.create_millis.store(150, SeqCst);
    let attempts = probe.0.attempts.load(SeqCst);
    let start = SystemClock.now();
    let jobs = (0..50).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let _guard = pool.acquire().await.unwrap();
            SystemClock.sleep(Duration::from_millis(2)).await;
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await?;
    }
    let took = SystemClock.now().since(start);
    assert!(took <= Duration::from_millis(40), "{took:?}");
    assert!(probe.0.attempts.load(SeqCst) - attempts <= 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_connect_outlives_the_caller_who_caused_it() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(400, SeqCst);
    let pool = probe.pool().build()?;
    for _ in 0..4 {
        let impatient = pool.acquire_within(Duration::from_millis(150)).await;
        if impatient.is_ok() {
            break;
        }
    }
    assert_eq!(probe.0.attempts.load(SeqCst), 1);
    assert_eq!(pool.acquire().await?.number, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_connect_at_once() -> TestResult {
    let probe = Probe::default();
    probe.0.create_millis.store(100, SeqCst);
    let pool = probe.pool().max_size(30).max_connecting(3).build()?;
    let all = futures_util::future::join_all((0..30).map(|_| pool.acquire())).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(probe.0.most_creating.load(SeqCst), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_dead_resource_has_all_idle_ones_checked_at_once() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(64).max_connecting(64).build()?;
    let all = futures_util::future::join_all((0..64).map(|_| pool.acquire())).await;
    drop(all);
    tokio::time::advance(5 * SECOND).await;
    probe.0.check_hangs.store(true, SeqCst);
    let start = SystemClock.now();
    let fresh = pool.acquire().await?.number;
    assert_eq!(fresh, 64);
    let waited = SystemClock.now().since(start);
    assert!(waited <= SECOND + SECOND / 5, "{waited:?}");
    SystemClock.sleep(SECOND + SECOND / 10).await;
    settle().await;
    assert_eq!((probe.alive(), probe.0.checks.load(SeqCst)), (1, 64));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn idle_resources_are_closed_down_to_the_minimum() -> TestResult {
    let probe = Probe::default();
    let pool = probe
        .pool()
        .max_size(8)
        .min_idle(2)
        .max_connecting(8)
        .build()?;
    drop(futures_util::future::join_all((0..8).map(|_| pool.acquire())).await);
    assert_eq!(probe.alive(), 8);
    SystemClock.sleep(11 * MINUTE).await;
    settle().await;
    assert_eq!(probe.alive(), 2);
    assert_eq!(pool.metrics().closed, [(CloseReason::Idle, 6)]);
    assert_eq!(probe.0.closed.load(SeqCst), 6);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_minimum_is_kept_ready_from_the_first_acquire_on() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(8).min_idle(4).build()?;
    let _held = pool.acquire().await?;
    settle().await;
    assert_eq!(pool.status().idle, 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn lifetimes_end_spread_out_and_not_together() -> TestResult {
    let probe = Probe::default();
    let lifetime = 30 * MINUTE;
    let pool = probe.pool().max_size(64).max_connecting(64);
    let pool = pool.max_lifetime(lifetime).idle_timeout(None).build()?;
    drop(futures_util::future::join_all((0..64).map(|_| pool.acquire())).await);
    assert_eq!(probe.alive(), 64);
    SystemClock.sleep(lifetime.mul_f64(0.74)).await;
    assert_eq!(probe.alive(), 64);
    let mut most_in_one_window = 0;
    for _ in 0..26 {
        let before = probe.alive();
        SystemClock.sleep(lifetime / 100).await;
        settle().await;
        most_in_one_window = most_in_one_window.max(before - probe.alive());
    }
    assert_eq!(probe.alive(), 0);
    assert!(most_in_one_window <= 10, "{most_in_one_window}");
    assert_eq!(pool.metrics().closed, [(CloseReason::Lifetime, 64)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_old_resource_is_replaced_when_it_is_returned() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_lifetime(10 * MINUTE).build()?;
    let guard = pool.acquire().await?;
    SystemClock.sleep(11 * MINUTE).await;
    drop(guard);
    assert_eq!(pool.acquire().await?.number, 1);
    Ok(())
}

#[tokio::test]
async fn a_resource_is_used_as_often_as_allowed() -> TestResult {
    let pool = Probe::default().pool().max_uses(2).build()?;
    let mut numbers = Vec::new();
    for _ in 0..5 {
        numbers.push(pool.acquire().await?.number);
    }
    assert_eq!(numbers, [0, 0, 1, 1, 2]);
    Ok(())
}

#[tokio::test]
async fn invalidation_replaces_idle_and_lent_resources() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).build()?;
    let (idle, held) = (pool.acquire().await?, pool.acquire().await?);
    drop(idle);
    pool.invalidate_all();
    settle().await;
    assert_eq!(probe.alive(), 1);
    drop(held);
    assert_eq!(pool.acquire().await?.number, 2);
    assert_eq!(pool.metrics().closed, [(CloseReason::Invalidated, 2)]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panicking_manager_costs_no_slot() -> TestResult {
    let probe = Probe::default();
    probe.0.panics.store(true, SeqCst);
    let pool = probe
        .pool()
        .max_size(2)
        .acquire_timeout(20 * SECOND)
        .build()?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    settle().await;
    probe.0.panics.store(false, SeqCst);
    assert_eq!(waiting.await??, 0);
    assert_eq!(pool.status().size(), 1);
    Ok(())
}

/// The runtime is a thread's own, because attempts without a pause would never let go of it.
#[test]
fn attempts_beyond_the_back_offs_limit_keep_their_distance() -> TestResult {
    let attempts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&attempts);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || -> TestResult {
        let manager = from_fn(move || {
            counted.fetch_add(1, SeqCst);
            std::future::ready(Err::<(), _>(Refused("at once")))
        });
        let backoff = Backoff::exponential(Duration::from_millis(1)).with_max_attempts(3);
        let pool = Pool::builder(manager)
            .clock(SystemClock)
            .backoff(backoff)
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let outcome = runtime.block_on(pool.acquire_within(Duration::from_millis(200)));
        Ok(sender.send(outcome.is_err())?)
    });
    assert!(receiver.recv_timeout(10 * SECOND)?);
    let attempts = attempts.load(SeqCst);
    assert!((2..=210).contains(&attempts), "{attempts}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_to_create_spares_those_who_wait_for_a_return() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(2).build()?;
    let held = pool.acquire().await?;
    probe.0.refuses_for_good.store(true, SeqCst);
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|guard| guard.number) }
    });
    SystemClock.sleep(SECOND).await;
    assert!(pool.metrics().create_failures > 0);
    drop(held);
    assert_eq!(waiting.await??, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_check_delays_no_connect() -> TestResult {
    let probe = Probe::default();
    let pool = probe.pool().max_size(1).build()?;
    drop(pool.acquire().await?);
    tokio::time::advance(2 * SECOND).await;
    probe.0.check_panics.store(true, SeqCst);
    let start = SystemClock.now();
    assert_eq!(pool.acquire().await?.number, 1);
    assert_eq!(SystemClock.now().since(start), Duration::ZERO);
    assert_eq!(pool.metrics().create_failures, 0);
    Ok(())
}

#[tokio::test]
async fn after_a_long_outage_everybody_is_served_within_half_a_second() -> TestResult {
    for _ in 0..5 {
        let (probe, clock) = (Probe::default(), ManualClock::new());
        probe.0.refuses.store(true, SeqCst);
        let pool = Pool::builder(probe.clone()).clock(clock.clone());
        let pool = pool.max_size(8).max_connecting(2);
        let pool = pool.acquire_timeout(3_600 * SECOND).build()?;
        let waiting = (0..32).map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        });
        let waiting: Vec<_> = waiting.collect();
        while probe.0.attempts.load(SeqCst) < 60 {
            clock.advance(SECOND / 10);
            settle().await;
        }
        probe.0.refuses.store(false, SeqCst);
        // The clock moves no more: whoever is not served by now never is.
        clock.advance(SECOND / 2);
        for task in waiting {
            tokio::time::timeout(30 * SECOND, task).await???;
        }
        assert_eq!(probe.0.most_creating.load(SeqCst), 2);
    }
    Ok(())
}

#[tokio::test]
async fn one_success_ends_the_pause_of_the_others() -> TestResult {
    // The first attempt fails while the second is under way.
    let (attempts, begun, slow) = (
        AtomicU64::new(0),
        Arc::new(Notify::new()),
        Arc::new(Notify::new()),
    );
    let connect = from_fn({
        let slow = Arc::clone(&slow);
        move || {
            let attempt = attempts.fetch_add(1, SeqCst);
            let (begun, slow) = (Arc::clone(&begun), Arc::clone(&slow));
            async move {
                if attempt == 0 {
                    begun.notified().await;
                    return Err(Refused("once"));
                }
                if attempt == 1 {
                    begun.notify_one();
                    slow.notified().await;
                }
                Ok(attempt)
            }
        }
    });
    // The clock stands still, so a pause ends by a success or not at all.
    let pool = Pool::builder(connect).clock(ManualClock::new());
    let pool = pool.max_size(2).max_connecting(2);
    let pool = pool.backoff(Backoff::constant(SECOND)).build()?;
    let both = async { tokio::join!(pool.acquire(), pool.acquire()) };
    let released = async {
        while pool.metrics().create_failures == 0 {
            tokio::task::yield_now().await;
        }
        slow.notify_one();
    };
    let served = async { tokio::join!(both, released).0 };
    let (one, other) = tokio::time::timeout(30 * SECOND, served).await?;
    assert_eq!((*one?, *other?), (1, 2));
    Ok(())
}

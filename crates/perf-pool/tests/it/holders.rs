//! Who holds what: circles, leaks, and what replaces them.

use crate::support::{Probe, TestResult, settle};
use perf_core::{Clock, ManualClock, SystemClock};
use perf_pool::PoolError;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_task_that_waits_for_itself_is_told_at_once() -> TestResult {
    let pool = Probe::default()
        .pool()
        .max_size(2)
        .refuse_circles(true)
        .build()?;
    let outcome = tokio::spawn({
        let pool = pool.clone();
        async move {
            let _held = (pool.acquire().await, pool.acquire().await);
            pool.acquire().await.map(|guard| guard.number)
        }
    });
    let Err(error @ PoolError::Circle { held: 2, .. }) = outcome.await? else {
        panic!("it was served");
    };
    assert_eq!(
        error.to_string(),
        "the caller holds 2 and everybody else who could return one waits, too (2 of 2 in use, 0 \
         idle, 0 waiting)"
    );
    Ok(())
}

/// Each of three tasks holds one of three and asks for another: the last to ask would close the circle,
/// is refused, and makes way for the others.
#[tokio::test]
async fn tasks_that_wait_for_each_other_lose_only_the_last() -> TestResult {
    let pool = Probe::default()
        .pool()
        .max_size(3)
        .refuse_circles(true)
        .build()?;
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(3));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (pool, barrier) = (pool.clone(), barrier.clone());
            tokio::spawn(async move {
                let _first = pool.acquire().await.unwrap();
                barrier.wait().await;
                pool.acquire().await.map(drop)
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        match task.await? {
            Ok(()) => {}
            Err(PoolError::Circle { held: 1, .. }) => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!((refused, pool.status().in_use), (1, 0));
    Ok(())
}

#[tokio::test]
async fn a_wait_for_somebody_who_works_is_no_circle() -> TestResult {
    let pool = Probe::default()
        .pool()
        .max_size(2)
        .refuse_circles(true)
        .build()?;
    let (hold, held) = tokio::sync::oneshot::channel::<()>();
    let other = pool.acquire().await?;
    let worker = tokio::spawn(async move {
        let _unheard = held.await;
        drop(other);
    });
    let nested = tokio::spawn({
        let pool = pool.clone();
        async move {
            let _first = pool.acquire().await.unwrap();
            pool.acquire().await.map(|guard| guard.number)
        }
    });
    settle().await;
    assert_eq!(pool.status().waiting, 1);
    hold.send(()).map_err(|()| "the worker has gone")?;
    // The other guard was acquired by the test, which waits for tasks and not for the pool.
    nested.await??;
    Ok(worker.await?)
}

#[tokio::test(start_paused = true)]
async fn a_time_out_says_what_its_caller_held_itself() -> TestResult {
    let pool = Probe::default().pool().max_size(1).build()?;
    let _held = pool.acquire().await?;
    let Err(PoolError::Timeout(elapsed)) = pool.acquire().await else {
        panic!("it was served");
    };
    assert_eq!(elapsed.held, 1);
    let text = elapsed.to_string();
    assert!(
        text.ends_with(", of which the caller itself holds 1"),
        "{text}"
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_reported_once_with_its_place_and_age() -> TestResult {
    let pool = Probe::default().pool().leak_after(10 * SECOND).build()?;
    let (leaked, line) = (pool.acquire().await?, line!());
    SystemClock.sleep(9 * SECOND).await;
    assert_eq!(pool.metrics().leaks, 0);
    SystemClock.sleep(60 * SECOND).await;
    assert_eq!(pool.metrics().leaks, 1);
    let holders = pool.holders();
    let [holder] = holders.as_slice() else {
        panic!("{holders:?}");
    };
    assert_eq!(
        (holder.location.file(), holder.location.line()),
        (file!(), line)
    );
    assert_eq!((holder.held, holder.task), (69 * SECOND, None));
    let text = holder.to_string();
    assert!(text.contains(&format!("holders.rs:{line}:")), "{text}");
    assert!(text.ends_with(", held for 69.0s"), "{text}");
    drop(leaked);
    // The next holder begins anew.
    let _other = pool.acquire().await?;
    SystemClock.sleep(60 * SECOND).await;
    assert_eq!(pool.metrics().leaks, 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn forgotten_guards_are_replaced_and_their_return_is_one_too_many() -> TestResult {
    let probe = Probe::default();
    let pool = probe
        .pool()
        .max_size(1)
        .leak_after(10 * SECOND)
        .replace_leaked(true);
    let pool = pool.capacity(3).acquire_timeout(60 * SECOND).build()?;
    std::mem::forget(pool.acquire().await?);
    let late = pool.acquire().await?;
    assert_eq!(late.number, 1);
    let third = pool.acquire().await?;
    assert_eq!(third.number, 2);
    // The capacity is the end of it.
    assert!(pool.acquire().await.is_err());
    drop((late, third));
    settle().await;
    assert_eq!((pool.status().idle, probe.alive()), (1, 2));
    drop(pool.acquire().await?);
    Ok(())
}

/// A holder comes back just as it is reported and replaced, five thousand times: whichever is first, no
/// room is left over afterwards.
#[tokio::test]
async fn a_leak_that_comes_back_while_it_is_replaced_leaves_no_room() -> TestResult {
    let clock = ManualClock::new();
    let pool = Probe::default().pool().clock(clock.clone()).max_size(1);
    let pool = pool
        .leak_after(10 * SECOND)
        .replace_leaked(true)
        .capacity(3);
    let pool = pool.acquire_timeout(SECOND).check_after_idle(None);
    let pool = pool.idle_timeout(None).max_lifetime(None).build()?;
    drop(pool.acquire().await?);
    let holder = tokio::task::spawn_blocking({
        let (pool, clock) = (pool.clone(), clock.clone());
        move || {
            for round in 0..5_000 {
                let held = std::iter::from_fn(|| Some(pool.try_acquire())).find_map(Result::ok);
                clock.advance(10 * SECOND);
                (0..round % 500).for_each(|_| std::hint::spin_loop());
                drop(held);
            }
        }
    });
    holder.await?;
    settle().await;
    assert!(pool.metrics().leaks > 0, "nothing was ever reported");
    let _held = pool.acquire().await?;
    let second = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    settle().await;
    assert_eq!(pool.status().size(), 1);
    clock.advance(SECOND);
    assert!(matches!(second.await?, Err(PoolError::Timeout(_))));
    Ok(())
}

use crate::Sure;
use perf_cache::{Cache, CacheError, LoadError};
use perf_core::{Clock, ManualClock, SystemClock};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

fn current_thread() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

#[test]
fn without_a_runtime_a_miss_is_an_error() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("none").build()?;
    let call = pin!(cache.get_or_load(1, async || Sure::Ok(1)));
    match call.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(LoadError::Cache(CacheError::NoRuntime))) => Ok(()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_given_runtime_loads_for_callers_of_others() -> anyhow::Result<()> {
    let loads = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let builder = Cache::<u64, u64>::builder("given").runtime(loads.handle().clone());
    let cache = builder.build()?;
    for key in 0..3 {
        // Each caller's runtime ends with it.
        let value =
            current_thread()?.block_on(cache.get_or_load(key, async move || Sure::Ok(key)))?;
        assert_eq!(value, key);
    }
    Ok(())
}

#[test]
fn a_runtime_that_shuts_down_aborts_its_loads_and_the_next_call_loads_anew() -> anyhow::Result<()> {
    let cache: Cache<u64, u64> = Cache::builder("shutdown").build()?;
    let (first, second) = (current_thread()?, current_thread()?);
    let hanging = {
        let cache = cache.clone();
        async move {
            cache
                .get_or_load(1, async || std::future::pending::<Sure<u64>>().await)
                .await
        }
    };
    first.block_on(async {
        tokio::spawn(hanging);
        tokio::task::yield_now().await;
    });
    let waiting = second.spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, async || Sure::Ok(2)).await }
    });
    second.block_on(tokio::task::yield_now());
    assert_eq!(cache.stats().joins, 1);
    drop(first);
    assert!(matches!(second.block_on(waiting)?, Err(LoadError::Aborted)));
    assert_eq!(cache.stats().load_aborts, 1);
    assert_eq!(
        second.block_on(cache.get_or_load(1, async || Sure::Ok(3)))?,
        3
    );
    Ok(())
}

#[test]
fn a_load_on_a_runtime_that_is_gone_is_aborted() -> anyhow::Result<()> {
    let gone = current_thread()?;
    let builder = Cache::<u64, u64>::builder("gone").runtime(gone.handle().clone());
    let cache = builder.build()?;
    drop(gone);
    let result = current_thread()?.block_on(cache.get_or_load(1, async || Sure::Ok(1)));
    assert!(matches!(result, Err(LoadError::Aborted)), "{result:?}");
    Ok(())
}

#[test]
fn a_wait_for_a_runtime_that_nobody_drives_is_bounded() -> anyhow::Result<()> {
    let (idle, driven) = (current_thread()?, current_thread()?);
    let clock = ManualClock::new();
    let builder = Cache::<u64, u64>::builder("idle").runtime(idle.handle().clone());
    let cache = builder
        .clock(clock.clone())
        .wait_timeout(Duration::from_secs(5))
        .build()?;
    let waiting = driven.spawn({
        let cache = cache.clone();
        async move { cache.get_or_load(1, async || Sure::Ok(1)).await }
    });
    driven.block_on(tokio::task::yield_now());
    assert!(!waiting.is_finished());
    clock.advance(Duration::from_secs(5));
    assert!(matches!(
        driven.block_on(waiting)?,
        Err(LoadError::TimedOut)
    ));
    Ok(())
}

/// Polls `future` on this thread, where no runtime is, for at most `limit`.
fn drive<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let start = SystemClock.now();
    while SystemClock.now().since(start) < limit {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(value);
        }
        std::thread::park_timeout(limit);
    }
    None
}

#[test]
fn a_caller_outside_any_runtime_waits_no_longer_than_allowed() -> anyhow::Result<()> {
    let loads = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()?;
    let builder = Cache::<u64, u64>::builder("outside").runtime(loads.handle().clone());
    let cache = builder.wait_timeout(Duration::from_millis(20)).build()?;
    let load = async || std::future::pending::<Sure<u64>>().await;
    let result = drive(cache.get_or_load(1, load), Duration::from_secs(10));
    assert!(
        matches!(result, Some(Err(LoadError::TimedOut))),
        "{result:?}"
    );
    Ok(())
}

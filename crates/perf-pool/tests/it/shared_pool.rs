//! Connections that many callers share.

use crate::support::{Refused, TestResult, poll_at_most, settle};
use perf_core::{Clock, SystemClock, Transience};
use perf_pool::{Manager, PoolError, Share, SharedPool, SharedPoolBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Numbered clients that take a while to connect.
#[derive(Clone, Debug, Default)]
struct Clients(Arc<Knobs>);

#[derive(Debug, Default)]
struct Knobs {
    attempts: AtomicU64,
    refuses: AtomicBool,
    refuses_for_good: AtomicBool,
    hangs: AtomicBool,
    first_hangs: AtomicBool,
}

impl Manager for Clients {
    type Resource = Arc<u64>;
    type Error = Refused;

    async fn create(&self) -> Result<Arc<u64>, Refused> {
        let number = self.0.attempts.fetch_add(1, SeqCst);
        SystemClock.sleep(Duration::from_millis(10)).await;
        if self.0.hangs.load(SeqCst) || number == 0 && self.0.first_hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.refuses.load(SeqCst) || self.0.refuses_for_good.load(SeqCst) {
            return Err(Refused("go away"));
        }
        Ok(Arc::new(number))
    }

    fn classify(&self, _: &Refused) -> Transience {
        if self.0.refuses_for_good.load(SeqCst) {
            Transience::Permanent
        } else {
            Transience::Transient
        }
    }
}

impl Clients {
    fn pool(&self) -> SharedPoolBuilder<Self> {
        SharedPool::builder(self.clone())
    }

    fn attempts(&self) -> u64 {
        self.0.attempts.load(SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_few_connections_evenly() -> TestResult {
    let clients = Clients::default();
    let pool = clients.pool().connections(4).build()?;
    let mut shares = Vec::new();
    while pool.connected() < 4 {
        shares.push(pool.acquire().await?);
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    shares.clear();
    for _ in 0..1_000 {
        shares.push(pool.acquire().await?);
    }
    let mut counts = [0; 4];
    for share in &shares {
        counts[usize::try_from(***share)?] += 1;
    }
    // One choice at random would leave them some sixty apart.
    let (most, least) = (counts.iter().max(), counts.iter().min());
    assert!(
        most.zip(least)
            .is_some_and(|(most, least)| most - least <= 20),
        "{counts:?}"
    );
    assert_eq!((clients.attempts(), pool.in_flight()), (4, 1_000));
    drop(shares);
    assert_eq!(pool.in_flight(), 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn callers_who_leave_do_not_take_the_connect_along() -> TestResult {
    let clients = Clients::default();
    let pool = clients.pool().connections(1).build()?;
    for polls in 0..2 {
        assert!(poll_at_most(polls, pool.acquire()).await.is_none());
    }
    assert_eq!(**pool.acquire().await?, 0);
    assert_eq!((clients.attempts(), pool.in_flight()), (1, 0));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_many_give_up_is_made_anew_once() -> TestResult {
    let clients = Clients::default();
    let pool = clients.pool().connections(1).build()?;
    let mut shares = Vec::new();
    for _ in 0..50 {
        shares.push(pool.acquire().await?);
    }
    let late = shares.pop();
    shares.into_iter().for_each(Share::discard);
    assert_eq!(**pool.acquire().await?, 1);
    Share::discard(late.ok_or("fifty were taken")?);
    assert_eq!((**pool.acquire().await?, clients.attempts()), (1, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn others_serve_while_one_is_made_anew() -> TestResult {
    let clients = Clients::default();
    let pool = clients.pool().connections(2).build()?;
    while pool.connected() < 2 {
        drop(pool.acquire().await?);
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    clients.0.hangs.store(true, SeqCst);
    Share::discard(pool.acquire().await?);
    let start = SystemClock.now();
    for _ in 0..100 {
        drop(pool.acquire().await?);
    }
    assert_eq!(SystemClock.now().since(start), Duration::ZERO);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_is_found_and_one_that_does_not_is_named() -> TestResult {
    let clients = Clients::default();
    clients.0.refuses.store(true, SeqCst);
    let pool = clients.pool().acquire_timeout(3 * SECOND).build()?;
    let Err(error @ PoolError::Timeout(_)) = pool.acquire().await else {
        panic!("it was served");
    };
    let source = std::error::Error::source(&error).ok_or("no source")?;
    assert_eq!(source.to_string(), "go away");
    let attempts = clients.attempts();
    assert!(attempts <= 60, "{attempts}");
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    settle().await;
    clients.0.refuses.store(false, SeqCst);
    waiting.await??;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_is_told_at_once_and_a_hanging_connect_given_up() -> TestResult {
    let clients = Clients::default();
    clients.0.refuses_for_good.store(true, SeqCst);
    let pool = clients.pool().connections(1).build()?;
    assert!(matches!(pool.acquire().await, Err(PoolError::Create(_))));

    let clients = Clients::default();
    clients.0.hangs.store(true, SeqCst);
    let pool = clients
        .pool()
        .connections(1)
        .connect_timeout(SECOND)
        .build()?;
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(|share| **share) }
    });
    SystemClock.sleep(SECOND / 2).await;
    clients.0.hangs.store(false, SeqCst);
    assert_eq!(waiting.await??, 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_replaced() -> TestResult {
    let pool = Clients::default()
        .pool()
        .connections(1)
        .max_lifetime(60 * SECOND)
        .build()?;
    assert_eq!(**pool.acquire().await?, 0);
    SystemClock.sleep(44 * SECOND).await;
    assert_eq!(**pool.acquire().await?, 0);
    SystemClock.sleep(17 * SECOND).await;
    assert_eq!(**pool.acquire().await?, 1);
    pool.invalidate_all();
    assert_eq!(**pool.acquire().await?, 2);
    Ok(())
}

#[test]
fn senseless_settings_are_refused_by_name() {
    let pool = || Clients::default().pool();
    for (setting, builder) in [
        ("connections", pool().connections(0)),
        ("acquire_timeout", pool().acquire_timeout(Duration::ZERO)),
        ("connect_timeout", pool().connect_timeout(Duration::ZERO)),
        ("max_lifetime", pool().max_lifetime(Duration::ZERO)),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.to_string(), format!("{setting} must not be zero"));
    }
    let outcome = futures_util::FutureExt::now_or_never(async {
        let pool = pool().build().unwrap();
        pool.acquire().await.map(drop)
    });
    assert!(
        matches!(outcome, None | Some(Err(PoolError::NoRuntime))),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_silent_peer_gets_what_others_have_made() -> TestResult {
    let clients = Clients::default();
    clients.0.first_hangs.store(true, SeqCst);
    let pool = clients.pool().connections(2).build()?;
    // Some of them choose the first connection, which nobody ever makes, and some the second.
    let all = futures_util::future::join_all((0..32).map(|_| pool.acquire())).await;
    for share in all {
        assert_eq!(**share?, 1);
    }
    assert_eq!(clients.attempts(), 2);
    Ok(())
}

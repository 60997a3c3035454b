//! Postgres behind proxies that go silent, refuse, or lose their server.

use crate::support::{TestResult, cancel_after};
use perf_core::{Clock, SystemClock, Transience};
use perf_pool::{Fate, Manager, Pool, PoolError, PostgresManager};
use perf_testkit::proxy::Silence;
use perf_testkit::{FaultProxy, Faults, PostgresServer};
use sqlx::PgConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Twice the limit of a check: far from the 64 s that 64 checks in turn would take.
const PROMPT: Duration = Duration::from_secs(2);

/// Connects to the primary, and after the fail-over to the standby.
#[derive(Debug)]
struct FailOver {
    primary: PostgresManager,
    standby: PostgresManager,
    failed: AtomicBool,
}

impl Manager for FailOver {
    type Resource = PgConnection;
    type Error = sqlx::Error;

    const CLEAN_AFTER_ACCESS: bool = PostgresManager::CLEAN_AFTER_ACCESS;

    async fn create(&self) -> sqlx::Result<PgConnection> {
        let failed = self.failed.load(SeqCst);
        let manager = if failed { &self.standby } else { &self.primary };
        manager.create().await
    }

    async fn check(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        self.primary.check(connection).await
    }

    async fn reset(&self, connection: &mut PgConnection) -> sqlx::Result<Fate> {
        self.primary.reset(connection).await
    }

    fn classify(&self, error: &sqlx::Error) -> Transience {
        self.primary.classify(error)
    }
}

/// A pool whose `max_size` connections to the primary are all open, and the primary's proxy.
async fn filled(max_size: u32) -> TestResult<([FaultProxy; 2], Pool<FailOver>)> {
    let server = PostgresServer::shared()?;
    let database = server.database()?;
    let proxies = [
        FaultProxy::start(server.address())?,
        FaultProxy::start(server.address())?,
    ];
    let manager = FailOver {
        primary: PostgresManager::from_url(&database.url_through(proxies[0].address()))?,
        standby: PostgresManager::from_url(&database.url_through(proxies[1].address()))?,
        failed: AtomicBool::new(false),
    };
    let pool = Pool::builder(manager)
        .max_size(max_size)
        .max_connecting(max_size);
    let pool = pool.check_after_idle(Duration::from_millis(200)).build()?;
    let guards = (0..max_size).map(|_| pool.acquire());
    let guards = futures_util::future::join_all(guards).await;
    assert!(guards.iter().all(Result::is_ok));
    Ok((proxies, pool))
}

fn fail_over(proxies: &[FaultProxy; 2], pool: &Pool<FailOver>) {
    proxies[0].set(Faults::none().with_silence(Silence::Both));
    pool.manager().failed.store(true, SeqCst);
}

#[tokio::test]
async fn many_half_open_connections_cost_one_check() -> TestResult {
    let (proxies, pool) = filled(64).await?;
    SystemClock.sleep(Duration::from_millis(300)).await;
    fail_over(&proxies, &pool);
    let start = SystemClock.now();
    let mut guard = pool.acquire().await?;
    let waited = SystemClock.now().since(start);
    println!("served after {waited:?}");
    assert!(waited <= PROMPT, "{waited:?}");
    let one: i32 = sqlx::query_scalar("SELECT 1")
        .fetch_one(&mut *guard)
        .await?;
    assert_eq!(one, 1);
    assert_eq!(proxies[1].traffic().connections, 1);
    Ok(())
}

#[tokio::test]
async fn cancelled_queries_on_a_silent_peer_return_their_capacity() -> TestResult {
    let (proxies, pool) = filled(10).await?;
    proxies[0].set(Faults::none().with_silence(Silence::Both));
    let queries = (0..10).map(async |_| {
        let mut guard = pool.acquire().await?;
        let query = sqlx::query("SELECT 1").execute(&mut *guard);
        assert!(
            cancel_after(Duration::from_millis(100), query)
                .await
                .is_none()
        );
        TestResult::Ok(())
    });
    let queries = futures_util::future::join_all(queries).await;
    assert!(queries.iter().all(Result::is_ok));
    fail_over(&proxies, &pool);
    let start = SystemClock.now();
    let guards = futures_util::future::join_all((0..10).map(|_| pool.acquire())).await;
    let waited = SystemClock.now().since(start);
    println!("all ten back after {waited:?}");
    assert!(guards.iter().all(Result::is_ok));
    assert!(waited <= PROMPT, "{waited:?}");
    Ok(())
}

/// What the queries of [`hammer`] came to.
#[derive(Debug, Default)]
struct Tally {
    right: AtomicU64,
    wrong: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

async fn hammer(pool: Pool<PostgresManager>, tally: Arc<Tally>, seed: i64) {
    while !tally.stop.load(SeqCst) {
        let number = seed + i64::from(fastrand::u32(..));
        let answer: sqlx::Result<i64> = sqlx::query_scalar("SELECT $1::bigint")
            .bind(number)
            .fetch_one(&pool)
            .await;
        let counter = match answer {
            Ok(answer) if answer == number => &tally.right,
            Ok(_) => &tally.wrong,
            Err(_) => &tally.failed,
        };
        counter.fetch_add(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_restarted_under_load_is_found_again() -> TestResult {
    let server = PostgresServer::start()?;
    let proxy = FaultProxy::start(server.address())?;
    let url = server.database()?.url_through(proxy.address());
    let pool = Pool::builder(PostgresManager::from_url(&url)?)
        .max_size(8)
        .build()?;
    let tally = Arc::new(Tally::default());
    let tasks: Vec<_> = (0..32)
        .map(|seed| tokio::spawn(hammer(pool.clone(), Arc::clone(&tally), seed << 32)))
        .collect();
    let mut most_open = 0;
    let answered = async |count: u64, most_open: &mut u64| {
        let goal = tally.right.load(SeqCst) + count;
        while tally.right.load(SeqCst) < goal {
            *most_open = proxy.open_connections().max(*most_open);
            SystemClock.sleep(Duration::from_millis(5)).await;
        }
    };
    answered(2_000, &mut most_open).await;

    server.kill();
    SystemClock.sleep(Duration::from_millis(500)).await;
    let server = tokio::task::spawn_blocking(move || server.restart().map(|()| server)).await??;
    let start = SystemClock.now();
    answered(2_000, &mut most_open).await;
    let recovery = SystemClock.now().since(start);

    println!("2,000 answers {recovery:?} after the restart; {tally:?}, {most_open} open at most");
    tally.stop.store(true, SeqCst);
    for task in tasks {
        task.await?;
    }
    assert_eq!(tally.wrong.load(SeqCst), 0, "{tally:?}");
    assert!(tally.failed.load(SeqCst) > 0, "nobody noticed: {tally:?}");
    assert!(most_open <= 8, "{most_open} connections were open");
    assert!(recovery <= Duration::from_secs(4), "{recovery:?}");
    drop(server);
    Ok(())
}

/// 5,000 callers of a port that refuses for a second: few attempts, never more than two at once, and all are
/// served when it accepts again.
#[tokio::test]
async fn a_refusing_port_meets_few_attempts_at_a_time() -> TestResult {
    let server = PostgresServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let url = server.database()?.url_through(proxy.address());
    proxy.refuse();
    let pool = Pool::builder(PostgresManager::from_url(&url)?);
    let pool = pool.max_waiters(5_000).max_connecting(2);
    let pool = pool.acquire_timeout(Duration::from_secs(60)).build()?;
    let tasks: Vec<_> = (0..5_000)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    while pool.metrics().create_failures < 5 {
        SystemClock.sleep(Duration::from_millis(5)).await;
        assert!(pool.status().connecting <= 2, "{}", pool.status());
    }
    assert_eq!(pool.status().waiting, 5_000);
    proxy.accept();
    for task in tasks {
        task.await??;
    }
    let metrics = pool.metrics();
    println!(
        "{} refused, {} connected",
        metrics.create_failures, metrics.create.count
    );
    assert!(metrics.create.count <= 10);
    Ok(())
}

#[tokio::test]
async fn a_refusing_port_is_named_as_the_cause() -> TestResult {
    let server = PostgresServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let url = server.database()?.url_through(proxy.address());
    proxy.refuse();
    let pool = Pool::builder(PostgresManager::from_url(&url)?);
    let pool = pool.acquire_timeout(Duration::from_millis(300)).build()?;
    let Err(PoolError::Timeout(elapsed)) = pool.acquire().await else {
        panic!("it was served");
    };
    let cause = elapsed
        .last_error
        .as_deref()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(cause.contains("refused"), "{cause}");
    proxy.accept();
    assert!(pool.acquire_within(Duration::from_secs(5)).await.is_ok());
    Ok(())
}

//! Redis: a connection of one's own, and few shared by many.

use crate::support::{TestResult, cancel_after, poll_at_most};
use perf_pool::{Pool, Pooled, RedisManager, SharedPool};
use perf_testkit::proxy::Silence;
use perf_testkit::{FaultProxy, Faults, RedisServer};
use redis::{AsyncCommands, cmd};
use std::time::Duration;

fn proxied() -> TestResult<(FaultProxy, RedisManager, String)> {
    let server = RedisServer::shared()?;
    let proxy = FaultProxy::start(server.address())?;
    let manager = RedisManager::from_url(&server.url_through(proxy.address()))?;
    Ok((proxy, manager, server.key_prefix()))
}

#[tokio::test]
async fn a_command_on_a_guard_is_one_round_trip_and_leaves_it_clean() -> TestResult {
    let (proxy, manager, prefix) = proxied()?;
    let pool = Pool::builder(manager).max_size(1).build()?;
    let key = format!("{prefix}n");
    drop(pool.acquire().await?);
    let before = proxy.traffic();
    for expected in 1..=20 {
        let mut guard = pool.acquire().await?;
        let n: u64 = cmd("INCR").arg(&key).query_async(&mut guard).await?;
        assert_eq!(n, expected);
        assert!(!Pooled::meta(&guard).tainted);
    }
    assert_eq!((proxy.traffic() - before).round_trips, 20);
    Ok(())
}

#[tokio::test]
async fn what_a_holder_leaves_on_a_connection_reaches_nobody() -> TestResult {
    let (_proxy, manager, prefix) = proxied()?;
    let pool = Pool::builder(manager).max_size(1).build()?;
    for state in [
        vec!["MULTI"],
        vec!["SELECT", "3"],
        vec!["WATCH", "somewhere"],
    ] {
        let mut guard = pool.acquire().await?;
        let mut command = cmd(state[0]);
        command.arg(&state[1..]);
        command.exec_async(&mut guard).await?;
        assert!(Pooled::meta(&guard).tainted, "{state:?}");
        drop(guard);
        let mut next = pool.acquire().await?;
        // Inside a transaction the answer would be "QUEUED", in another database nothing.
        let answer: u64 = cmd("INCR")
            .arg(format!("{prefix}k"))
            .query_async(&mut next)
            .await?;
        let seen: u64 = cmd("GET")
            .arg(format!("{prefix}k"))
            .query_async(&mut next)
            .await?;
        assert_eq!(answer, seen);
        let info: String = cmd("CLIENT").arg("INFO").query_async(&mut next).await?;
        assert!(info.contains(" db=0 "), "{info}");
    }
    assert_eq!(pool.metrics().create.count, 1);
    Ok(())
}

#[tokio::test]
async fn a_blocking_command_that_was_cancelled_holds_up_nobody() -> TestResult {
    let (_proxy, manager, prefix) = proxied()?;
    let manager = manager.with_response_timeout(None);
    let pool = Pool::builder(manager).max_size(1).build()?;
    let mut guard = pool.acquire().await?;
    let mut blocking = cmd("BLPOP");
    blocking.arg(format!("{prefix}list")).arg(30);
    let popping = blocking.query_async::<Option<(String, String)>>(&mut guard);
    assert!(
        cancel_after(Duration::from_millis(100), popping)
            .await
            .is_none()
    );
    assert!(Pooled::meta(&guard).tainted);
    drop(guard);
    let mut next = pool.acquire().await?;
    assert_eq!(cmd("PING").query_async::<String>(&mut next).await?, "PONG");
    assert_eq!(pool.metrics().create.count, 2, "it was replaced");
    Ok(())
}

#[tokio::test]
async fn a_command_cancelled_at_any_poll_answers_nobody_else() -> TestResult {
    let (_proxy, manager, prefix) = proxied()?;
    let pool = Pool::builder(manager).max_size(1).build()?;
    for polls in (0..5).cycle().take(200) {
        let other = async {
            let mut guard = pool.acquire().await?;
            let echoed: String = cmd("ECHO").arg("not mine").query_async(&mut guard).await?;
            TestResult::Ok(echoed)
        };
        drop(poll_at_most(polls, other).await);
        let mut guard = pool.acquire().await?;
        let mine: String = cmd("ECHO").arg(&prefix).query_async(&mut guard).await?;
        assert_eq!(mine, prefix);
    }
    Ok(())
}

#[tokio::test]
async fn a_shared_connection_that_broke_is_found_and_replaced() -> TestResult {
    let (proxy, manager, prefix) = proxied()?;
    let pool = SharedPool::builder(manager).connections(2).build()?;
    let key = format!("{prefix}k");
    let set = async || -> TestResult {
        let mut share = pool.acquire().await?;
        Ok(share.set::<_, _, ()>(&key, 1).await?)
    };
    set().await?;
    for _ in 0..3 {
        proxy.cut();
        // Each connection may fail one command before it is replaced.
        let mut failures = 0;
        while let Err(error) = set().await {
            failures += 1;
            assert!(failures <= 3, "{error}");
        }
        set().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_shared_connection_whose_peer_went_silent_is_replaced() -> TestResult {
    let (proxy, manager, prefix) = proxied()?;
    let manager = manager.with_response_timeout(Duration::from_millis(300));
    let pool = SharedPool::builder(manager).connections(1).build()?;
    let set = async || -> TestResult {
        let mut share = pool.acquire().await?;
        Ok(share.set::<_, _, ()>(&prefix, 1).await?)
    };
    set().await?;
    proxy.set(Faults::none().with_silence(Silence::Both));
    assert!(set().await.is_err());
    proxy.set(Faults::none());
    proxy.cut();
    set().await
}

#[tokio::test]
async fn a_thousand_commands_at_once_share_four_connections() -> TestResult {
    let (proxy, manager, prefix) = proxied()?;
    let pool = SharedPool::builder(manager).connections(4).build()?;
    let jobs = (0..1_000_u32).map(|number| {
        let (pool, key) = (pool.clone(), format!("{prefix}{number}"));
        tokio::spawn(async move {
            let mut share = pool.acquire().await.unwrap();
            share.set::<_, _, ()>(&key, number).await.unwrap();
            let read: u32 = share.get(&key).await.unwrap();
            assert_eq!(read, number);
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await?;
    }
    assert!(proxy.traffic().connections <= 4);
    assert_eq!(pool.in_flight(), 0);
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_fails_at_once_with_the_cause() -> TestResult {
    let address = RedisServer::shared()?.address();
    let manager = RedisManager::from_url(&format!("redis://nobody:wrong@{address}"))?;
    let pool = Pool::builder(manager).build()?;
    let error = pool.acquire().await.map(drop).unwrap_err();
    assert!(
        matches!(error, perf_pool::PoolError::Create(_)),
        "{error:?}"
    );
    assert!(RedisManager::from_url("http://localhost").is_err());
    Ok(())
}

//! Eight processes on one Redis: this test binary starts itself again.

use perf_cache::store::RedisStore;
use perf_cache::{Cache, FarTier};
use perf_testkit::RedisServer;
use std::convert::Infallible;
use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::task::JoinSet;

const PROCESSES: usize = 8;
const CALLERS: usize = 1_250;
/// Set for a child: the server's address and the cache's name.
const URL: &str = "PERF_CACHE_CHILD_URL";
const NAME: &str = "PERF_CACHE_CHILD_NAME";

/// What a child does; without its variables, as in a plain test run, there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() -> anyhow::Result<()> {
    let (Ok(url), Ok(name)) = (env::var(URL), env::var(NAME)) else {
        return Ok(());
    };
    let tier = FarTier::new(RedisStore::new(&url)?)
        .timeout(Duration::from_secs(10))
        .wait_for_others(Duration::from_secs(60));
    let cache: Cache<u64, String> = Cache::builder(name)
        .load_timeout(Duration::from_secs(120))
        .far(tier)
        .build()?;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let cache = cache.clone();
        callers.spawn(async move {
            let load = async || {
                // Long enough for the other processes to come.
                perf_core::Clock::sleep(&perf_core::SystemClock, Duration::from_secs(2)).await;
                Ok::<_, Infallible>("loaded".to_owned())
            };
            cache.get_or_load(7, load).await
        });
    }
    while let Some(value) = callers.join_next().await {
        assert_eq!(value??, "loaded");
    }
    println!("loads={} errors=0", cache.stats().loads);
    Ok(())
}

/// How often all children together loaded.
fn run_children(url: &str, name: &str) -> anyhow::Result<u64> {
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let mut child = Command::new(env::current_exe()?);
        child.args(["processes::child", "--exact", "--nocapture"]);
        child.env(URL, url).env(NAME, name).stdout(Stdio::piped());
        children.push(child.spawn()?);
    }
    let mut loads = 0;
    for child in children {
        let output = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "a caller saw an error: {told}");
        let own = told
            .split("loads=")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        loads += own
            .and_then(|own| own.parse::<u64>().ok())
            .expect("a count");
    }
    Ok(loads)
}

#[test]
fn ten_thousand_callers_in_eight_processes_are_one_load() -> anyhow::Result<()> {
    let server = RedisServer::shared()?;
    assert_eq!(run_children(&server.url(), &server.key_prefix())?, 1);
    Ok(())
}

#[test]
fn with_redis_down_each_process_loads_once_and_nobody_sees_an_error() -> anyhow::Result<()> {
    let server = RedisServer::start()?;
    server.kill();
    let loads = run_children(&server.url(), "down")?;
    assert_eq!(loads, u64::try_from(PROCESSES)?);
    Ok(())
}

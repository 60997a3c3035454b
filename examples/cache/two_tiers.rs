//! How do two processes share what they load, and what they invalidate?
//!
//! ```sh
//! cargo run -p perfkit-examples --example cache_two_tiers
//! ```
//!
//! It starts itself a second time; both keep values in their own memory and share a SQLite file behind
//! it. On several machines, a server takes the file's place: `RedisStore`, `PostgresStore` or
//! `MySqlStore`. Nothing has to be set up.

use anyhow::{Context, Result, ensure};
use perf_cache::store::SqliteStore;
use perf_cache::{Cache, FarTier};
use std::convert::Infallible;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// For how long a process may serve from its memory what the other has invalidated.
const NEAR: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(url) = env::args().nth(1) {
        return answer(&url).await;
    }
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("cache.db").display());
    let store = SqliteStore::new(&url)?;
    store.create_table().await?;
    let users = cache(store)?;
    let mut other = Other::start(&url)?;

    let here = users.get_or_load(7, || load("the first process")).await?;
    println!("here: {here}");
    println!("there: {}", other.ask("read")?);

    // The data has changed: this process forgets it at once, and so does the file they share.
    users.invalidate(&7).await?;
    println!(
        "there, after an invalidation here: {}",
        other.ask("read anew")?
    );
    println!(
        "here: {}",
        users.get(&7).await.context("the other has shared it")?
    );
    ensure!(users.stats().loads == 1);

    other.ask("invalidate")?;
    while users.get(&7).await.is_some() {
        tokio::task::yield_now().await; // for as long as it may still be near
    }
    println!("here, after an invalidation there: nothing");
    other.stop()
}

fn cache(store: SqliteStore) -> Result<Cache<u64, String>> {
    let tier = FarTier::new(store).near_ttl(NEAR);
    Ok(Cache::builder("users").far(tier).build()?)
}

async fn load(by: &'static str) -> Result<String, Infallible> {
    Ok(format!("user 7, loaded by {by}"))
}

/// What the second process does: it answers each line with one.
async fn answer(url: &str) -> Result<()> {
    let users = cache(SqliteStore::new(url)?)?;
    for line in std::io::stdin().lines() {
        let line = line?;
        if line == "read anew" {
            // Its own copy lives on for a while.
            while users.near(&7).is_some() {
                tokio::task::yield_now().await;
            }
        }
        if line == "invalidate" {
            users.invalidate(&7).await?;
            println!("done");
        } else {
            println!(
                "{}",
                users.get_or_load(7, || load("the second process")).await?
            );
        }
    }
    Ok(())
}

/// The second process, as the first sees it.
struct Other {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(url: &str) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let input = process.stdin.take().context("it was asked for")?;
        let output = process.stdout.take().context("it was asked for")?;
        Ok(Self {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    fn ask(&mut self, what: &str) -> Result<String> {
        writeln!(self.input, "{what}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn stop(mut self) -> Result<()> {
        drop(self.input);
        ensure!(self.process.wait()?.success());
        Ok(())
    }
}

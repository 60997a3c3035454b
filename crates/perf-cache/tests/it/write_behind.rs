//! Writes that are acknowledged before the source has them.

use anyhow::Context;
use parking_lot::Mutex;
use perf_cache::journal::{Journal, Position, RedisJournal, SqliteJournal};
use perf_cache::{Cache, CacheError, Change, EntryPolicy, WriteBehind, WriteError};
use perf_core::{Backoff, Jitter, ManualClock};
use perf_testkit::RedisServer;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

type Numbers = Cache<u64, u64>;

const LONG: Duration = Duration::from_secs(3_600);

/// A database that can be down, and refuses some keys.
#[derive(Clone, Default)]
struct Database {
    rows: Arc<Mutex<HashMap<u64, Option<u64>>>>,
    batches: Arc<Mutex<Vec<usize>>>,
    refused: Arc<Mutex<Vec<u64>>>,
    is_down: watch::Sender<bool>,
}

impl Database {
    fn down() -> Self {
        Self {
            is_down: watch::Sender::new(true),
            ..Self::default()
        }
    }

    /// Waits while the database is down.
    fn writer(
        &self,
    ) -> impl Fn(Vec<Change<u64, u64>>) -> futures::Done + Send + Sync + use<> + 'static {
        let database = self.clone();
        move |changes| {
            let database = database.clone();
            Box::pin(async move {
                database.is_down.subscribe().wait_for(|down| !*down).await?;
                database.batches.lock().push(changes.len());
                let refused = database.refused.lock().clone();
                if let Some(bad) = changes.iter().find(|change| refused.contains(&change.key)) {
                    anyhow::bail!("{} is refused", bad.key);
                }
                let rows = changes.into_iter().map(|change| (change.key, change.value));
                database.rows.lock().extend(rows);
                Ok(())
            })
        }
    }

    fn up(&self) {
        self.is_down.send_replace(false);
    }
}

mod futures {
    use std::pin::Pin;

    pub(super) type Done = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
}

fn size(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("not zero")
}

fn numbers(clock: &ManualClock) -> anyhow::Result<Numbers> {
    Ok(Cache::builder("numbers")
        .clock(clock.clone())
        .ttl(LONG)
        .build()?)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn changes_of_one_key_that_wait_are_one_and_batches_keep_their_order() -> anyhow::Result<()> {
    let (clock, database) = (ManualClock::new(), Database::default());
    let cache = numbers(&clock)?;
    let writer = WriteBehind::builder(cache.clone(), database.writer()).batch(size(4));
    let writer = writer.build().await?;
    for value in 0..9 {
        writer.put(value % 3, value).await?;
    }
    writer.delete(1).await?;
    assert!(database.batches.lock().is_empty(), "they wait for others");
    assert_eq!(writer.stats().pending, 3);
    assert_eq!((cache.near(&2), cache.near(&1)), (Some(8), None));
    writer.put(3, 9).await?;
    until(|| writer.stats().written == 4).await;
    assert_eq!(*database.batches.lock(), [4]);
    writer.put(3, 10).await?;
    tokio::task::yield_now().await;
    until(|| {
        clock.advance(Duration::from_millis(100));
        writer.stats().pending == 0
    })
    .await;
    let rows = database.rows.lock().clone();
    let expected = [(0, Some(6)), (1, None), (2, Some(8)), (3, Some(10))];
    assert_eq!(rows, HashMap::from(expected));
    Ok(())
}

#[tokio::test]
async fn a_full_set_makes_writers_wait_and_close_drains_it() -> anyhow::Result<()> {
    let (clock, database) = (ManualClock::new(), Database::down());
    let writer = WriteBehind::builder(numbers(&clock)?, database.writer());
    let writer = writer.max_pending(size(2)).batch(size(1)).build().await?;
    writer.put(1, 1).await?;
    writer.put(2, 2).await?;
    let refused = writer.try_put(3, 3).await;
    assert!(
        matches!(refused, Err(CacheError::WriteQueueFull)),
        "{refused:?}"
    );
    let waiting = tokio::spawn({
        let writer = writer.clone();
        async move { writer.put(3, 3).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    assert_eq!(
        writer
            .get_or_load(2, async || Ok::<_, CacheError>(0))
            .await?,
        Some(2)
    );
    database.up();
    waiting.await??;
    assert!(writer.close(LONG).await);
    assert!(matches!(writer.put(4, 4).await, Err(CacheError::Closed)));
    assert_eq!(database.rows.lock().len(), 3);
    Ok(())
}

#[tokio::test]
async fn what_is_pending_is_read_though_the_cache_lost_it() -> anyhow::Result<()> {
    let database = Database::down();
    let cache = numbers(&ManualClock::new())?;
    let writer = WriteBehind::builder(cache.clone(), database.writer())
        .build()
        .await?;
    writer.put(1, 1).await?;
    writer.delete(2).await?;
    cache.clear().await?;
    let old = async || Ok::<_, CacheError>(99);
    assert_eq!(writer.get_or_load(1, old).await?, Some(1));
    assert_eq!(writer.get_or_load(2, old).await?, None);
    assert_eq!(writer.get_or_load(3, old).await?, Some(99));
    Ok(())
}

#[tokio::test]
async fn what_is_refused_goes_to_the_dead_letters_and_the_rest_is_written() -> anyhow::Result<()> {
    let database = Database::default();
    database.refused.lock().push(3);
    let dead = Arc::new(Mutex::new(Vec::new()));
    let cache = numbers(&ManualClock::new())?;
    let letters = Arc::clone(&dead);
    let backoff = Backoff::constant(Duration::ZERO).with_jitter(Jitter::None);
    let writer = WriteBehind::builder(cache.clone(), database.writer())
        .backoff(backoff.with_max_attempts(3))
        .dead_letters(move |change, failure| {
            letters.lock().push((change.key, failure.to_string()));
            std::future::ready(Ok::<_, CacheError>(()))
        });
    let writer = writer.build().await?;
    for key in 0..5 {
        writer.put(key, key).await?;
    }
    writer.flush().await;
    assert_eq!(*dead.lock(), [(3, "3 is refused".to_owned())]);
    assert_eq!(database.rows.lock().len(), 4);
    assert_eq!(*database.batches.lock(), [5, 5, 5, 1, 1, 1, 1, 1]);
    let stats = writer.stats();
    assert_eq!((stats.failed_attempts, stats.dead_letters), (3, 1));
    assert_eq!(cache.near(&3), None, "nobody goes on believing in it");
    Ok(())
}

#[tokio::test]
async fn write_through_writes_both_or_invalidates() -> anyhow::Result<()> {
    let cache = numbers(&ManualClock::new())?;
    let policy = EntryPolicy::new;
    let good = |_, _| std::future::ready(Ok::<_, CacheError>(()));
    cache.write_through(1, 1, policy(), good).await?;
    assert_eq!(cache.near(&1), Some(1));
    let bad = |_, _| std::future::ready(Err(CacheError::Closed));
    let failed = cache.write_through(1, 2, policy(), bad).await;
    assert!(matches!(failed, Err(WriteError::Writer(_))));
    assert_eq!(cache.near(&1), None, "it may have been written");
    cache.insert(1, 1).await?;
    let panics = async |_, _| -> Result<(), CacheError> { panic!("in the write") };
    let failed = cache.write_through(1, 2, policy(), panics).await;
    assert!(matches!(failed, Err(WriteError::Aborted)));
    assert_eq!(cache.near(&1), None);
    Ok(())
}

async fn journal_keeps_its_word(journal: impl Journal) -> anyhow::Result<()> {
    let records: Vec<Vec<u8>> = (0..5_u8).map(|record| vec![record; 3]).collect();
    let mut positions = journal.append(&records[..3]).await?;
    positions.extend(journal.append(&records[3..]).await?);
    assert!(positions.is_sorted() && positions.len() == 5);
    let read = journal.read(Position::default(), 3).await?;
    assert_eq!(
        read.iter().map(|(_, record)| record).collect::<Vec<_>>(),
        [&records[0], &records[1], &records[2]]
    );
    let rest = journal.read(read[2].0, 10).await?;
    assert_eq!(
        rest.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        positions[3..]
    );
    journal.forget(&[positions[1], positions[4]]).await?;
    journal.forget(&[]).await?;
    let left = journal.read(Position::default(), 10).await?;
    assert_eq!(left.len(), 3);
    assert_eq!(left[1], (positions[2], records[2].clone()));
    let next = journal.append(&records[..1]).await?;
    assert!(next[0] > positions[4], "positions are not used again");
    Ok(())
}

#[tokio::test]
async fn every_journal_keeps_its_word() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    journal_keeps_its_word(SqliteJournal::open(folder.path().join("journal")).await?).await?;
    let server = RedisServer::shared()?;
    journal_keeps_its_word(RedisJournal::new(&server.url(), server.key_prefix())?).await
}

#[tokio::test]
async fn a_journal_of_something_else_is_an_error() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let journal = SqliteJournal::open(folder.path().join("journal")).await?;
    journal.append(&[b"\xc1".to_vec()]).await?;
    let cache = numbers(&ManualClock::new())?;
    let writer = WriteBehind::builder(cache, Database::default().writer()).journal(journal);
    assert!(matches!(
        writer.build().await,
        Err(CacheError::StrangeRecord)
    ));
    Ok(())
}

/// Set for a child: its folder, its first number, and the journal's server if that is Redis.
const FOLDER: &str = "PERF_CACHE_WRITER_FOLDER";
const FIRST: &str = "PERF_CACHE_WRITER_FIRST";
const REDIS: &str = "PERF_CACHE_WRITER_REDIS";
/// The key that every tenth change has; the others' keys are their own.
const HOT: u64 = 0;

async fn source(folder: &Path) -> anyhow::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("source"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(30));
    let pool = SqlitePool::connect_with(options).await?;
    let create = "CREATE TABLE IF NOT EXISTS numbers (key INTEGER PRIMARY KEY, value INTEGER)";
    sqlx::query(create).execute(&pool).await?;
    Ok(pool)
}

async fn write(pool: SqlitePool, changes: Vec<Change<u64, u64>>) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    for change in changes {
        let upsert =
            "INSERT INTO numbers VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
        let value = change.value.map(i64::try_from).transpose()?;
        let upsert = sqlx::query(upsert)
            .bind(i64::try_from(change.key)?)
            .bind(value);
        upsert.execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Writes numbers from the first on, and says of each that it was acknowledged, until it is killed; without
/// a first number, it writes what is left and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() -> anyhow::Result<()> {
    let Ok(folder) = std::env::var(FOLDER) else {
        return Ok(());
    };
    let folder = Path::new(&folder);
    let pool = source(folder).await?;
    let cache: Numbers = Cache::builder("numbers").build()?;
    let writer = WriteBehind::builder(cache, move |changes| write(pool.clone(), changes));
    let writer = writer.batch(size(16)).linger(Duration::from_millis(2));
    let writer = match std::env::var(REDIS) {
        Ok(url) => writer.journal(RedisJournal::new(&url, "journal")?),
        Err(_) => writer.journal(SqliteJournal::open(folder.join("journal")).await?),
    };
    let writer = writer.build().await?;
    if let Ok(first) = std::env::var(FIRST) {
        for number in first.parse::<u64>()?.. {
            let key = if number % 10 == 0 { HOT } else { number };
            writer.put(key, number).await?;
            println!("acknowledged {key} {number}");
        }
    }
    assert!(
        writer.close(Duration::from_secs(60)).await,
        "the rest is written"
    );
    println!("drained");
    Ok(())
}

fn start_child(folder: &Path, redis: Option<&str>, first: Option<u64>) -> anyhow::Result<Command> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["write_behind::child", "--exact", "--nocapture"]);
    child.env(FOLDER, folder).stdout(Stdio::piped());
    if let Some(url) = redis {
        child.env(REDIS, url);
    }
    if let Some(first) = first {
        child.env(FIRST, first.to_string());
    }
    Ok(child)
}

/// Kills children amid their work, and counts the acknowledged changes and those that are lost.
async fn kill_children(kills: u64, redis: Option<&str>) -> anyhow::Result<(usize, usize)> {
    let folder = tempfile::tempdir()?;
    let mut acknowledged = HashMap::<u64, u64>::new();
    let mut next = 1;
    for _ in 0..kills {
        let mut child = start_child(folder.path(), redis, Some(next))?.spawn()?;
        let told = child.stdout.take().context("a pipe")?;
        let mut left = fastrand::u64(1..120);
        for line in BufReader::new(told).lines() {
            let line = line?;
            let Some(told) = line.split("acknowledged ").nth(1) else {
                continue;
            };
            let (key, number) = told.split_once(' ').context("two numbers")?;
            let number: u64 = number.parse()?;
            acknowledged.insert(key.parse()?, number);
            next = number + 1;
            left = left.saturating_sub(1);
            if left == 0 {
                // What it said before it died is read on.
                child.kill()?;
            }
        }
        child.wait()?;
        // What it had done when it could no longer say so keeps its number.
        next += 1_000;
    }
    let output = start_child(folder.path(), redis, None)?.output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(told.contains("drained"), "{told}");
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT key, value FROM numbers")
        .fetch_all(&source(folder.path()).await?)
        .await?;
    let rows: HashMap<u64, u64> = rows
        .into_iter()
        .map(|(key, value)| Ok((u64::try_from(key)?, u64::try_from(value)?)))
        .collect::<anyhow::Result<_>>()?;
    let is_lost = |(key, number): &(&u64, &u64)| rows.get(key).is_none_or(|found| found < number);
    Ok((
        acknowledged.len(),
        acknowledged.iter().filter(is_lost).count(),
    ))
}

fn kills() -> u64 {
    let asked = std::env::var("PERF_SOAK_CASES");
    asked.ok().and_then(|asked| asked.parse().ok()).unwrap_or(8)
}

async fn killed_children_lose_nothing(redis: Option<&str>) -> anyhow::Result<()> {
    let (acknowledged, lost) = kill_children(kills(), redis).await?;
    println!(
        "{} kills: {lost} of {acknowledged} acknowledged changes lost",
        kills()
    );
    assert_eq!(lost, 0, "of {acknowledged}");
    assert!(acknowledged > 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_killed_processes_lose_nothing_that_a_sqlite_journal_has() -> anyhow::Result<()> {
    killed_children_lose_nothing(None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_killed_processes_lose_nothing_that_a_redis_journal_has() -> anyhow::Result<()> {
    let server = RedisServer::start()?;
    killed_children_lose_nothing(Some(&server.url())).await
}

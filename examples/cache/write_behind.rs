//! How do a thousand small writes become a few, without losing one when the process dies?
//!
//! Each view of an article changes a counter. The change is in the journal and in the cache when `put` returns;
//! the database gets it a little later, in a batch with others.
//!
//! ```sh
//! cargo run -p perfkit-examples --example cache_write_behind
//! ```

use anyhow::{Context, Result, ensure};
use perf_cache::journal::SqliteJournal;
use perf_cache::{Cache, Change, WriteBehind};
use perfkit::bulk::{BulkError, BulkRow, BulkUpsert};
use sqlx::SqlitePool;
use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const ARTICLES: u64 = 30;
const VIEWS: u64 = 1_000;

#[derive(BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
struct Counter {
    article: String,
    views: i64,
}

/// The source, which counts its batches.
#[derive(Clone)]
struct Database {
    pool: SqlitePool,
    batches: Arc<AtomicU64>,
}

impl Database {
    async fn open(folder: &Path) -> Result<Self> {
        let url = format!("sqlite://{}?mode=rwc", folder.join("articles.db").display());
        let pool = SqlitePool::connect(&url).await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS counters (article TEXT PRIMARY KEY, views INTEGER)",
        )
        .execute(&pool)
        .await?;
        Ok(Self {
            pool,
            batches: Arc::default(),
        })
    }

    async fn write(self, changes: Vec<Change<String, i64>>) -> Result<(), BulkError> {
        self.batches.fetch_add(1, Relaxed);
        let counter = |change: Change<String, i64>| {
            let views = change.value?;
            Some(Counter {
                article: change.key,
                views,
            })
        };
        let counters: Vec<_> = changes.into_iter().filter_map(counter).collect();
        let upsert = BulkUpsert::into("counters").on_conflict(["article"]);
        upsert.execute(&self.pool, &counters).await.map(drop)
    }

    async fn views(&self) -> Result<i64> {
        let sum = sqlx::query_scalar("SELECT coalesce(sum(views), 0) FROM counters");
        Ok(sum.fetch_one(&self.pool).await?)
    }
}

async fn writer(database: &Database, folder: &Path) -> Result<WriteBehind<String, i64>> {
    let counters = Cache::builder("views").build()?;
    let source = database.clone();
    Ok(
        WriteBehind::builder(counters, move |changes| source.clone().write(changes))
            .journal(SqliteJournal::open(folder.join("journal.db")).await?)
            .build()
            .await?,
    )
}

/// Counts every view, article by article.
async fn count(writer: &WriteBehind<String, i64>) -> Result<()> {
    for view in 0..VIEWS {
        let article = format!("article {}", view % ARTICLES);
        let views = i64::try_from(view / ARTICLES + 1)?;
        writer.put(article, views).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    if let Some(folder) = env::args().nth(1) {
        return die(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir()?;
    let database = Database::open(folder.path()).await?;
    let counters = writer(&database, folder.path()).await?;
    count(&counters).await?;
    ensure!(
        counters.close(Duration::from_secs(30)).await,
        "not all was written"
    );
    ensure!(database.views().await? == i64::try_from(VIEWS)?);
    ensure!(database.batches.load(Relaxed) < VIEWS / 2, "hardly a batch");
    println!("{VIEWS} views are in the database, in far fewer writes");

    // The same in a process that dies as soon as the last view is acknowledged.
    let folder = tempfile::tempdir()?;
    let other = Command::new(env::current_exe()?)
        .arg(folder.path())
        .status()?;
    ensure!(!other.success(), "it was to die");
    let database = Database::open(folder.path()).await?;
    let counters = writer(&database, folder.path()).await?; // takes up what the journal has
    ensure!(
        counters.close(Duration::from_secs(30)).await,
        "not all was written"
    );
    let views = database.views().await?;
    ensure!(views == i64::try_from(VIEWS)?, "{views} views are left");
    println!("after a crash: {views} views are in the database");
    Ok(())
}

/// What the process does that dies.
async fn die(folder: &Path) -> Result<()> {
    let database = Database::open(folder).await?;
    let counters = writer(&database, folder).await?;
    count(&counters)
        .await
        .context("a view was not acknowledged")?;
    std::process::abort()
}

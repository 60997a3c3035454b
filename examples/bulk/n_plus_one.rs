//! How does code that looks up one thing at a time stop asking the database N + 1 times?
//!
//! Each flight asks for its plane. Written as one thinks of it, that is a query a flight; through a
//! loader the code stays as it is, and the look-ups that wait at the same time are one query.
//!
//! ```text
//! cargo run --example bulk_n_plus_one
//! ```

use futures_util::future::try_join_all;
use perfkit::bulk::{BatchLoader, BulkInsert, BulkRow, LoadError};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[derive(BulkRow, Clone, sqlx::FromRow)]
#[bulk(crate = ::perfkit::bulk)]
struct Plane {
    tailnum: String,
    seats: i64,
}

/// Counts what it asks.
#[derive(Clone)]
struct Database {
    pool: SqlitePool,
    queries: Arc<AtomicU32>,
}

impl Database {
    async fn plane(&self, tailnum: &str) -> sqlx::Result<Option<Plane>> {
        self.queries.fetch_add(1, Relaxed);
        sqlx::query_as("SELECT tailnum, seats FROM planes WHERE tailnum = ?")
            .bind(tailnum)
            .fetch_optional(&self.pool)
            .await
    }

    async fn planes(&self, tailnums: Vec<String>) -> sqlx::Result<HashMap<String, Plane>> {
        self.queries.fetch_add(1, Relaxed);
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT tailnum, seats FROM planes WHERE tailnum IN (");
        let mut list = query.separated(", ");
        for tailnum in tailnums {
            list.push_bind(tailnum);
        }
        query.push(")");
        let planes: Vec<Plane> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(planes
            .into_iter()
            .map(|plane| (plane.tailnum.clone(), plane))
            .collect())
    }
}

/// The tail numbers of 1,000 flights by 300 planes, of which 200 are known.
fn flights() -> impl Iterator<Item = String> {
    (0..1_000).map(|flight| format!("N{}", flight % 300))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE planes (tailnum TEXT PRIMARY KEY, seats INTEGER NOT NULL)")
        .execute(&pool)
        .await?;
    let planes = (0..200).map(|number| Plane {
        tailnum: format!("N{number}"),
        seats: 100 + number % 50,
    });
    BulkInsert::into("planes")
        .execute(&mut *pool.acquire().await?, planes)
        .await?;
    let database = Database {
        pool,
        queries: Arc::default(),
    };

    let mut seats = 0;
    for tailnum in flights() {
        seats += database
            .plane(&tailnum)
            .await?
            .map_or(0, |plane| plane.seats);
    }
    println!(
        "one by one: {seats} seats, {} queries",
        database.queries.swap(0, Relaxed)
    );

    let source = database.clone();
    let loader = BatchLoader::builder(move |tailnums| {
        let source = source.clone();
        async move { source.planes(tailnums).await }
    });
    let loader = loader.max_batch(250).build()?;
    let lookups = flights().map(|tailnum| async {
        let plane = loader.load(tailnum).await?;
        Ok::<_, LoadError<sqlx::Error>>(plane.map_or(0, |plane| plane.seats))
    });
    let loaded: i64 = try_join_all(lookups).await?.into_iter().sum();
    println!(
        "loaded: {loaded} seats, {} queries",
        database.queries.load(Relaxed)
    );
    anyhow::ensure!(loaded == seats, "the answers differ");
    Ok(())
}

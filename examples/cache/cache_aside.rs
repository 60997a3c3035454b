//! How does a service keep what it reads from a database, and never serve what it has changed since?
//!
//! ```sh
//! cargo run -p perfkit-examples --example cache_aside
//! ```
//!
//! The database is SQLite in memory. Nothing has to be set up.

use anyhow::{Result, ensure};
use perf_cache::{Cache, EntryPolicy};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

type Prices = Cache<i64, Arc<str>>;

/// How often the database was asked.
static QUERIES: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() -> Result<()> {
    let database = database().await?;
    let prices: Prices = Cache::builder("prices")
        .ttl(Duration::from_secs(300))
        // Entries that are read often are loaded anew before they expire: nobody waits for them.
        .eager_refresh(0.8)
        .build()?;

    // A thousand requests for one product at once are one query.
    let requests = (0..1_000).map(|_| read(&database, &prices, 7));
    let answers = futures_util::future::try_join_all(requests).await?;
    ensure!(answers.iter().all(|answer| &**answer == "product 7: 700"));
    println!("1000 requests: {} query", queries());

    // Change the data, commit, then invalidate. Whatever was being loaded meanwhile is not kept.
    reprice(&database, &prices, 7, 750).await?;
    println!(
        "{}: {} query",
        read(&database, &prices, 7).await?,
        queries()
    );

    // A page of products is one query for those that are not there.
    let found = read_many(&database, &prices, 1..=20).await?;
    println!("{} products: {} query", found.len(), queries());
    let found = read_many(&database, &prices, 1..=25).await?;
    println!("{} products: {} query", found.len(), queries());

    // What changes together carries a tag.
    sqlx::query("UPDATE products SET price = price * 2")
        .execute(&database)
        .await?;
    prices.invalidate_tag("prices").await?;
    println!(
        "{}: {} query",
        read(&database, &prices, 7).await?,
        queries()
    );
    println!(
        "{:.0} % of reads were hits",
        prices.stats().hit_rate_percent()
    );
    Ok(())
}

async fn read(database: &SqlitePool, prices: &Prices, id: i64) -> Result<Arc<str>> {
    let database = database.clone();
    let policy = EntryPolicy::new().tag("prices");
    let load = async move || query(&database, id).await;
    Ok(prices.get_or_load_with(id, policy, load).await?)
}

async fn read_many(
    database: &SqlitePool,
    prices: &Prices,
    ids: impl IntoIterator<Item = i64, IntoIter: Send> + Send,
) -> Result<HashMap<i64, Arc<str>>> {
    let database = database.clone();
    let policy = |_: &i64| EntryPolicy::new().tag("prices");
    let load = move |missing| query_many(database.clone(), missing);
    Ok(prices
        .get_or_load_many_with(ids, policy, load)
        .await
        .into_result()?)
}

async fn reprice(database: &SqlitePool, prices: &Prices, id: i64, price: i64) -> Result<()> {
    let change = sqlx::query("UPDATE products SET price = ? WHERE id = ?");
    change.bind(price).bind(id).execute(database).await?;
    prices.invalidate(&id).await?;
    Ok(())
}

async fn query(database: &SqlitePool, id: i64) -> Result<Arc<str>, sqlx::Error> {
    QUERIES.fetch_add(1, Ordering::Relaxed);
    let product = sqlx::query_scalar("SELECT price FROM products WHERE id = ?").bind(id);
    let price: i64 = product.fetch_one(database).await?;
    Ok(format!("product {id}: {price}").into())
}

async fn query_many(
    database: SqlitePool,
    ids: Vec<i64>,
) -> Result<HashMap<i64, Arc<str>>, sqlx::Error> {
    QUERIES.fetch_add(1, Ordering::Relaxed);
    let ids = serde_json::json!(ids).to_string();
    let products = "SELECT id, price FROM products WHERE id IN (SELECT value FROM json_each(?))";
    let rows: Vec<(i64, i64)> = sqlx::query_as(products)
        .bind(ids)
        .fetch_all(&database)
        .await?;
    let text = |(id, price)| (id, format!("product {id}: {price}").into());
    Ok(rows.into_iter().map(text).collect())
}

/// How often the database was asked since this was last called.
fn queries() -> u64 {
    QUERIES.swap(0, Ordering::Relaxed)
}

async fn database() -> Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let database = pool.connect("sqlite::memory:").await?;
    sqlx::query(
        "CREATE TABLE products AS WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL \
         SELECT id + 1 FROM n WHERE id < 100) SELECT id, id * 100 AS price FROM n",
    )
    .execute(&database)
    .await?;
    Ok(database)
}

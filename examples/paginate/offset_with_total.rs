//! How does a table with page numbers show "41 to 60 of 95", and what does the number cost?
//!
//! Rows are counted beside the page, up to 10,000 unless told otherwise, so a total has a bounded price.
//! A page that is too deep, or that is none, is refused before the database is asked.
//!
//! ```text
//! cargo run --example paginate_offset_with_total
//! ```

use perfkit::paginate::{CountMode, PageQuery, Paginator, Resource, Signed, SqlSource, Total};
use sqlx::{Sqlite, SqlitePool};

#[derive(Resource, sqlx::FromRow)]
#[resource(table = "orders", crate = ::perfkit::paginate)]
struct Order {
    #[resource(key)]
    id: i64,
    #[resource(sort, filter)]
    amount: i64,
}

type Orders = Paginator<SqlSource<Sqlite, Order>>;

async fn orders() -> anyhow::Result<Orders> {
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    sqlx::raw_sql(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
         WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000)
         INSERT INTO orders SELECT id, id * 7919 % 1000 FROM n",
    )
    .execute(&pool)
    .await?;
    Ok(Paginator::new(
        SqlSource::new(pool)?,
        Signed::new(&[7; 32])?,
    ))
}

/// One page as a person reads it.
async fn show(orders: &Orders, query: &PageQuery) -> anyhow::Result<()> {
    let page = orders.page(query).await?;
    let first = page.info.offset.unwrap_or_default() + 1;
    let last = first + page.items.len() as u64 - 1;
    let total = match page.total {
        Total::Exact(rows) => rows.to_string(),
        Total::AtLeast(rows) => format!("at least {rows}"),
        Total::Estimated(rows) => format!("about {rows}"),
        _ => "who knows how many".to_owned(),
    };
    let most = page.items.first().map(|order| (order.id, order.amount));
    println!("{first} to {last} of {total}, beginning with {most:?}");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let orders = orders().await?;

    // What a browser sends.
    let query = PageQuery::parse("filter[amount][gt]=904&sort=-amount&page=3&size=20")?;
    show(&orders, &query).await?;

    // A cap below the number of rows; nobody reads beyond it.
    let all = PageQuery::new().sort("-amount").page(3).size(20);
    show(&orders, &all.clone().count(CountMode::Capped(500))).await?;
    show(&orders, &all.clone().count(CountMode::None)).await?;

    for query in ["page=0", "page=5000&size=20", "size=0", "sort=password"] {
        let refused = match PageQuery::parse(query) {
            Ok(query) => orders.page(&query).await.err(),
            Err(error) => Some(error),
        };
        let error = refused.ok_or_else(|| anyhow::anyhow!("{query} was answered"))?;
        println!("{query}: {}, {error}", error.status());
    }
    Ok(())
}

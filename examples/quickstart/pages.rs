//! A deep page by OFFSET against the same page by keyset.

use crate::data::{Data, Flight};
use crate::database::Database;
use crate::report;
use anyhow::{Context as _, Result, ensure};
use perfkit::paginate::{PageQuery, Paginator, Signed, SqlSource};
use perfkit::profile::profile;
use sqlx::Sqlite;
use std::cmp::Reverse;

type Flights = Paginator<SqlSource<Sqlite, Flight>>;

const SIZE: u64 = 100;

/// Walks all pages by keyset, then reads the deepest full one in both ways.
pub(crate) async fn show(database: &Database, data: &Data) -> Result<()> {
    report::chapter(
        "Page through the flights, most delayed first, unknown delays last",
        "perf-paginate",
    );
    let index = "CREATE INDEX flights_by_delay ON flights (dep_delay, id)";
    sqlx::query(index).execute(&database.pool).await?;
    let source = SqlSource::new(database.pool.clone())?;
    let flights: Flights = Paginator::new(source, Signed::new(&[7; 32])?);
    let query = PageQuery::new().sort("-dep_delay").size(SIZE);

    let (walk, elapsed) = report::timed(walk(&flights, &query)).await;
    let (rows, deepest) = walk?;
    report::line(
        "walk all pages by keyset",
        elapsed,
        format!("{} rows", rows.len()),
    );
    ensure!(
        rows == sorted(&data.flights),
        "the walk lost, repeated or misplaced rows"
    );

    let depth = (rows.len() as u64 - 1) / SIZE * SIZE;
    let (offset, before) = report::timed(by_offset(database, depth)).await;
    report::line(
        &format!("the page at row {depth} by OFFSET"),
        before,
        "reads every row before it",
    );
    let (keyset, after) = report::timed(flights.page(&deepest)).await;
    report::line("the same page by keyset", after, "reads its own rows");
    ensure!(offset? == keyset?.items, "the two pages differ");
    report::gain(
        before,
        after,
        "the pages are equal, and so are the walk and a full sort",
    );
    Ok(())
}

/// All rows by following the cursors, and the query of the last page.
#[profile(crate = ::perfkit::profile)]
async fn walk(flights: &Flights, query: &PageQuery) -> Result<(Vec<Flight>, PageQuery)> {
    let mut rows = Vec::new();
    let mut query = query.clone();
    loop {
        let page = flights.page(&query).await?;
        rows.extend(page.items);
        if !page.info.has_next {
            return Ok((rows, query));
        }
        query = query.cursor(
            page.info
                .next
                .context("more rows follow, but no cursor leads there")?,
        );
    }
}

#[profile(crate = ::perfkit::profile)]
async fn by_offset(database: &Database, depth: u64) -> Result<Vec<Flight>> {
    let query = sqlx::query_as(
        "SELECT * FROM flights ORDER BY dep_delay DESC NULLS LAST, id DESC LIMIT ? OFFSET ?",
    );
    let query = query.bind(i64::try_from(SIZE)?).bind(i64::try_from(depth)?);
    Ok(query.fetch_all(&database.pool).await?)
}

fn sorted(flights: &[Flight]) -> Vec<Flight> {
    let mut flights = flights.to_vec();
    // `None` is less than every delay, so it is last in descending order.
    flights.sort_by_key(|flight| Reverse((flight.dep_delay, flight.id)));
    flights
}

//! Row by row against one bulk insert.

use crate::data::{Data, Flight};
use crate::database::Database;
use crate::report;
use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use perfkit::bulk::{BulkInsert, BulkRow};
use perfkit::profile::profile;
use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;

/// Imports all tables; the flights in both ways.
pub(crate) async fn show(database: &Database, data: &Data) -> Result<()> {
    report::chapter(
        "Import 27,004 flights of 19 columns into SQLite",
        "perf-bulk",
    );
    let (naive, before) = report::timed(row_by_row(database, &data.flights)).await;
    naive?;
    report::line(
        "INSERT row by row, one transaction",
        before,
        rate(&data.flights, before),
    );
    let (bulk, after) = report::timed(in_bulk(database, "flights", &data.flights)).await;
    bulk?;
    report::line("BulkInsert", after, rate(&data.flights, after));
    ensure!(differences(database).await? == 0, "the two tables differ");
    report::gain(before, after, "both tables hold the same rows");
    let (others, elapsed) = report::timed(in_bulk_too(database, data)).await;
    let figures = format!("{} rows", others?);
    report::line("planes, airlines, airports and weather", elapsed, figures);
    Ok(())
}

#[profile(crate = ::perfkit::profile)]
async fn row_by_row(database: &Database, flights: &[Flight]) -> sqlx::Result<()> {
    let mut transaction = database.pool.begin().await?;
    for flight in flights {
        insert(flight).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

#[profile(crate = ::perfkit::profile)]
async fn in_bulk<R>(database: &Database, table: &str, rows: &[R]) -> Result<usize>
where
    R: BulkRow<Sqlite> + Sync,
{
    let bar = ProgressBar::new(rows.len() as u64);
    let insert = BulkInsert::into(table).progress(|at| bar.set_position(at.rows));
    let report = insert.execute(&database.pool, rows).await?;
    bar.finish_and_clear();
    ensure!(
        report.written == rows.len() as u64,
        "rows of {table} were lost"
    );
    Ok(rows.len())
}

/// The tables that the flights refer to.
async fn in_bulk_too(database: &Database, data: &Data) -> Result<usize> {
    Ok(in_bulk(database, "planes", &data.planes).await?
        + in_bulk(database, "airlines", &data.airlines).await?
        + in_bulk(database, "airports", &data.airports).await?
        + in_bulk(database, "weather", &data.weather).await?)
}

fn insert(flight: &Flight) -> sqlx::query::Query<'_, Sqlite, SqliteArguments> {
    sqlx::query(
        "INSERT INTO flights_row_by_row
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(flight.id)
    .bind(flight.year)
    .bind(flight.month)
    .bind(flight.day)
    .bind(flight.dep_time)
    .bind(flight.sched_dep_time)
    .bind(flight.dep_delay)
    .bind(flight.arr_time)
    .bind(flight.sched_arr_time)
    .bind(flight.arr_delay)
    .bind(&flight.carrier)
    .bind(flight.flight)
    .bind(&flight.tailnum)
    .bind(&flight.origin)
    .bind(&flight.dest)
    .bind(flight.air_time)
    .bind(flight.distance)
    .bind(flight.hour)
    .bind(flight.minute)
    .bind(&flight.time_hour)
}

/// How many rows one table has and the other has not.
async fn differences(database: &Database) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM (SELECT * FROM flights EXCEPT SELECT * FROM flights_row_by_row))
              + (SELECT count(*) FROM (SELECT * FROM flights_row_by_row EXCEPT SELECT * FROM flights))",
    )
    .fetch_one(&database.pool)
    .await
}

fn rate(flights: &[Flight], elapsed: std::time::Duration) -> String {
    format!("{:.0} rows/s", flights.len() as f64 / elapsed.as_secs_f64())
}

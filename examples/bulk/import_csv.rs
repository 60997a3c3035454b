//! How is a CSV imported when some of its rows are bad?
//!
//! `cargo run --example bulk_import_csv`

use anyhow::{Result, ensure};
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use perfkit::bulk::{Atomicity, BulkInsert, BulkRow, MemoryDeadLetters, keep_failed_rows};
use perfkit::core::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};
use std::cell::RefCell;

#[derive(BulkRow, Debug, Deserialize, Serialize)]
#[bulk(crate = ::perfkit::bulk)]
struct Plane {
    tailnum: String,
    year: Option<i32>,
    seats: i32,
}

/// Line 4 has a word for a number, line 5 no seats, line 6 a tail number that is taken.
const CSV: &str = "tailnum,year,seats\nN10156,2004,55\nN102UW,1998,182\nN103US,soon,182\n\
                   N104UW,1999,0\nN10156,2002,55\nN10575,,55\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE planes (tailnum TEXT PRIMARY KEY, year INTEGER, seats INTEGER CHECK (seats > 0))")
        .execute(&mut connection)
        .await?;

    // What is no row at all is set aside here; what the table refuses comes back in the report.
    let unreadable = RefCell::new(Vec::new());
    let mut reader = csv::Reader::from_reader(CSV.as_bytes());
    let planes: Vec<Plane> = reader
        .deserialize()
        .filter_map(|row| {
            row.map_err(|error| unreadable.borrow_mut().push(error))
                .ok()
        })
        .collect();

    let bar = ProgressBar::new(planes.len() as u64);
    let report = BulkInsert::into("planes")
        .atomicity(Atomicity::BestEffort)
        .progress(|at| bar.set_position(at.rows))
        .execute_stream(&mut connection, stream::iter(planes).boxed())
        .await?;
    bar.finish_and_clear();

    println!("{} rows written", report.written);
    for error in unreadable.borrow().iter() {
        println!("unreadable: {error}");
    }
    for failed in &report.failed {
        println!("refused: {} ({})", failed.row.tailnum, failed.error);
    }
    let letters = MemoryDeadLetters::new();
    let kept = keep_failed_rows(&letters, "planes.csv", &report, SystemClock.wall()).await?;
    println!("{kept} rows kept as dead letters");
    ensure!(report.written == 3 && kept == 2 && unreadable.borrow().len() == 1);
    Ok(())
}

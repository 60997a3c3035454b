//! What takes long in full: `PERF_SOAK_CASES` says how long.

use crate::engines::cases;
use crate::engines::postgres::start;
use futures_util::stream;
use perf_bulk::{Atomicity, BulkInsert, BulkRow};

#[derive(BulkRow)]
struct Reading {
    id: i64,
    station: String,
    temperature: Option<f64>,
    remarks: String,
}

/// A line of about 100 bytes, and what is read from it.
fn line(id: u64) -> String {
    let remarks = "wind from the west, ".repeat(usize::try_from(id % 7).unwrap_or(0));
    format!("{id},EWR{},{}.5,{remarks}", id % 1_000, id % 40)
}

fn parse(line: &str) -> Option<Reading> {
    let mut fields = line.split(',');
    Some(Reading {
        id: fields.next()?.parse().ok()?,
        station: fields.next()?.to_owned(),
        temperature: fields.next()?.parse().ok(),
        remarks: fields.collect(),
    })
}

fn resident_bytes() -> u64 {
    const PAGE: u64 = 4_096;
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split(' ').nth(1).unwrap();
    pages.parse::<u64>().unwrap() * PAGE
}

/// As many MiB of CSV as there are cases; with 1,024, a gibibyte.
#[tokio::test]
async fn an_import_of_any_size_needs_no_more_than_64_mib() {
    let (_engine, mut connection) = start().await;
    sqlx::raw_sql(
        "CREATE UNLOGGED TABLE readings (id bigint, station text, temperature float8, remarks text)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let bytes_wanted = cases(24) << 20;
    let (mut id, mut bytes) = (0, 0);
    let rows = std::iter::from_fn(|| {
        let line = line(id);
        (bytes < bytes_wanted).then(|| {
            id += 1;
            bytes += line.len() as u64 + 1;
            parse(&line).unwrap()
        })
    });
    let before = resident_bytes();
    let mut most = 0;
    let report = BulkInsert::into("readings")
        .atomicity(Atomicity::PerChunk)
        .progress(|_| most = most.max(resident_bytes()))
        .execute_stream(&mut connection, stream::iter(rows))
        .await
        .unwrap();
    let growth = most.saturating_sub(before) >> 20;
    println!(
        "{} rows, {bytes} bytes of CSV, {growth} MiB more resident",
        report.written
    );
    assert_eq!(report.written, id);
    assert!(growth <= 64, "{growth} MiB");
}

//! What is measured, once for each engine: only the types of the driver differ.

use perf_bulk::BulkRow;
use perf_paginate::Resource;

/// Fewer rows have no depth to page to.
pub(super) const LEAST_ROWS: u32 = 2_000;

/// A row of the table that everything is measured on.
#[derive(Clone, Debug, BulkRow, Resource, sqlx::FromRow)]
#[resource(table = "perf_bench_readings")]
struct Reading {
    #[resource(key)]
    id: i64,
    #[resource(sort)]
    sensor: i64,
    value: f64,
    note: String,
}

const TABLE: &str =
    "CREATE TABLE perf_bench_readings (id BIGINT PRIMARY KEY, sensor BIGINT NOT NULL,
    value DOUBLE PRECISION NOT NULL, note VARCHAR(40) NOT NULL)";
const INDEX: &str = "CREATE INDEX perf_bench_readings_sensor ON perf_bench_readings (sensor, id)";
const DROP: &str = "DROP TABLE IF EXISTS perf_bench_readings";

fn readings(rows: u32) -> impl Iterator<Item = Reading> {
    (0..i64::from(rows)).map(|id| Reading {
        id,
        sensor: id * 7_919 % 1_000,
        value: id as f64 / 3.0,
        note: format!("reading number {id}"),
    })
}

macro_rules! engine {
    ($engine:ident, $database:ty, $placeholder:path) => {
        pub(in crate::database) mod $engine {
            use super::{DROP, INDEX, LEAST_ROWS, Reading, TABLE, readings};
            use crate::database::outcome::Pattern;
            use crate::failure::Failure;
            use perf_bulk::BulkInsert;
            use perf_core::{Clock, SystemClock};
            use perf_paginate::{PageQuery, Paginator, Signed, SqlSource};
            use sqlx::{AssertSqlSafe, Pool};
            use std::time::Duration;

            type Readings = Paginator<SqlSource<$database, Reading>>;

            const PAGE: u64 = 100;
            const LOOKUPS: u32 = 200;

            /// Makes the table, measures every pattern, drops the table.
            pub(in crate::database) async fn measure(
                pool: &Pool<$database>,
                rows: u32,
            ) -> Result<Vec<Pattern>, Failure> {
                run(pool, DROP).await?;
                let measured = async {
                    let patterns = vec![insert(pool, rows).await?, page(pool, rows).await?, lookup(pool, rows).await?];
                    Ok::<_, Failure>(patterns)
                };
                let measured = measured.await;
                run(pool, DROP).await?;
                measured
            }

            async fn insert(pool: &Pool<$database>, rows: u32) -> Result<Pattern, Failure> {
                run(pool, TABLE).await?;
                // Row by row is slow enough for a tenth to tell.
                let sample = rows.min(LEAST_ROWS);
                let started = SystemClock.now();
                let mut transaction = pool.begin().await?;
                let insert = format!(
                    "INSERT INTO perf_bench_readings VALUES ({}, {}, {}, {})",
                    $placeholder(1), $placeholder(2), $placeholder(3), $placeholder(4)
                );
                for row in readings(sample) {
                    let insert = sqlx::query(AssertSqlSafe(insert.clone()));
                    let insert = insert.bind(row.id).bind(row.sensor).bind(row.value).bind(row.note);
                    insert.execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                let naive = SystemClock.now().since(started) / sample;
                run(pool, DROP).await?;
                run(pool, TABLE).await?;
                let started = SystemClock.now();
                let report = BulkInsert::into("perf_bench_readings").execute(pool, readings(rows)).await;
                let written = report.map_err(|error| Failure::Database(error.to_string()))?.written;
                let good = SystemClock.now().since(started) / rows;
                expect("rows were written", u64::from(rows), written)?;
                run(pool, INDEX).await?;
                Ok(Pattern {
                    name: "insert a row",
                    naive_name: "row by row",
                    good_name: "in bulk",
                    naive,
                    good,
                })
            }

            /// Reads the last tenth of the pages.
            async fn page(pool: &Pool<$database>, rows: u32) -> Result<Pattern, Failure> {
                let failed = |error: perf_paginate::Error| Failure::Database(error.to_string());
                let source = SqlSource::new(pool.clone()).map_err(failed)?;
                let readings: Readings = Paginator::new(source, Signed::new(&[7; 32]).map_err(failed)?);
                let mut query = PageQuery::new().sort("sensor").size(PAGE);
                let deep = u64::from(rows) / PAGE * 9 / 10;
                let (mut number, mut seen, mut naive, mut good) = (0, 0, Duration::ZERO, Duration::ZERO);
                loop {
                    let started = SystemClock.now();
                    let page = readings.page(&query).await.map_err(failed)?;
                    let elapsed = SystemClock.now().since(started);
                    if number >= deep {
                        let started = SystemClock.now();
                        let same = by_offset(pool, number * PAGE).await?;
                        naive += SystemClock.now().since(started);
                        good += elapsed;
                        expect("rows are on the page", same, page.items.len() as u64)?;
                    }
                    number += 1;
                    seen += page.items.len() as u64;
                    match page.info.next {
                        Some(next) if page.info.has_next => query = query.cursor(next),
                        _ => break,
                    }
                }
                expect("rows were paged through", u64::from(rows), seen)?;
                let measured = u32::try_from(number - deep).unwrap_or(1).max(1);
                Ok(Pattern {
                    name: "read a deep page",
                    naive_name: "by offset",
                    good_name: "by keyset",
                    naive: naive / measured,
                    good: good / measured,
                })
            }

            async fn by_offset(pool: &Pool<$database>, offset: u64) -> Result<u64, Failure> {
                let sql = format!(
                    "SELECT * FROM perf_bench_readings ORDER BY sensor, id LIMIT {PAGE} OFFSET {offset}"
                );
                let rows = sqlx::query_as::<_, Reading>(AssertSqlSafe(sql)).fetch_all(pool).await?;
                Ok(rows.len() as u64)
            }

            async fn lookup(pool: &Pool<$database>, rows: u32) -> Result<Pattern, Failure> {
                let ids: Vec<i64> = (0..LOOKUPS).map(|number| i64::from(number * 31 % rows)).collect();
                let one = format!("SELECT * FROM perf_bench_readings WHERE id = {}", $placeholder(1));
                let started = SystemClock.now();
                let mut found = 0;
                for id in &ids {
                    let row = sqlx::query_as::<_, Reading>(AssertSqlSafe(one.clone())).bind(id);
                    found += u64::from(row.fetch_optional(pool).await?.is_some());
                }
                let naive = SystemClock.now().since(started) / LOOKUPS;
                let list: Vec<_> = (1..=ids.len()).map($placeholder).collect();
                let many = format!("SELECT * FROM perf_bench_readings WHERE id IN ({})", list.join(", "));
                let started = SystemClock.now();
                let many = sqlx::query_as::<_, Reading>(AssertSqlSafe(many));
                let many = ids.iter().fold(many, |many, id| many.bind(id)).fetch_all(pool).await?;
                let good = SystemClock.now().since(started) / LOOKUPS;
                expect("rows were found", found, many.len() as u64)?;
                Ok(Pattern {
                    name: "look a row up by its key",
                    naive_name: "one query each",
                    good_name: "one query for all",
                    naive,
                    good,
                })
            }

            async fn run(pool: &Pool<$database>, sql: &'static str) -> Result<(), Failure> {
                sqlx::raw_sql(sql).execute(pool).await?;
                Ok(())
            }

            /// A measurement of wrong answers is none.
            fn expect(what: &str, expected: u64, found: u64) -> Result<(), Failure> {
                if expected == found {
                    return Ok(());
                }
                Err(Failure::Database(format!("{found} {what}, not {expected}")))
            }
        }
    };
}

engine!(sqlite, sqlx::Sqlite, super::mark);
engine!(mysql, sqlx::MySql, super::mark);
engine!(postgres, sqlx::Postgres, super::number);

/// A parameter of SQLite, MySQL and MariaDB.
fn mark(_position: usize) -> String {
    "?".into()
}

/// A parameter of Postgres.
fn number(position: usize) -> String {
    format!("${position}")
}

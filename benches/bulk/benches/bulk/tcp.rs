//! How many calls over TCP wait for a delayed acknowledgement, which takes 40 ms.
//!
//! What Nagle's algorithm holds back is found by comparison: the same rows go over a Unix socket, which
//! knows no such wait, and over TCP, where the way may be another one that is up to two and a half times slower.
//! A call that takes 30 ms more than others of its size is counted, less as many as the machine disturbs on the Unix
//! socket; if most of a size do, all of them.

use crate::row::row;
use criterion::Criterion;
use perf_bulk::{BulkInsert, BulkRow, Strategy};
use perf_testkit::PostgresServer;
use sqlx::{Connection, PgConnection, Postgres};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const CREATE: &str = "CREATE TABLE flights (id bigint, year int, month int, day int, dep_time int, \
     sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int, arr_delay int, carrier text, \
     flight int, tailnum text, origin text, dest text, air_time int, distance int, hour int, minute int, \
     time_hour text)";
/// On both sides of every size where the way changes.
const SIZES: [usize; 15] = [
    1, 10, 50, 500, 900, 1_100, 2_000, 4_000, 6_000, 9_000, 12_000, 15_000, 40_000, 55_000, 100_000,
];
/// The automatic choice, and a COPY of every size.
const WAYS: [Strategy; 2] = [Strategy::Auto, Strategy::Copy];
const STALL: Duration = Duration::from_millis(30);

pub(crate) fn stalls(_criterion: &mut Criterion) {
    if !harness::is_wanted("bulk/tcp") {
        return;
    }
    let data = perf_testkit::flights::load().expect("the data set is in the repository");
    let data = Box::leak(Box::new(data));
    let rows: Vec<_> = data.repeated(100_000).map(row).collect();
    let server = PostgresServer::start().expect("a server");
    let database = server.database().expect("a database");
    let calls = if harness::is_quick() { 10 } else { 40 };
    let runtime = Runtime::new().expect("a runtime");
    let mut stalls = 0;
    runtime.block_on(async {
        let mut unix = PgConnection::connect(&database.url_unix())
            .await
            .expect("a connection");
        let mut tcp = PgConnection::connect(&database.url())
            .await
            .expect("a connection");
        sqlx::raw_sql(CREATE)
            .execute(&mut unix)
            .await
            .expect("a table");
        for (way, size) in WAYS.into_iter().flat_map(|way| SIZES.map(|size| (way, size))) {
            let (mut near, mut far) = (Vec::new(), Vec::new());
            for call in 0..=calls {
                // They take turns, so that what the server does meanwhile, such as a checkpoint, meets both.
                let times = [
                    time(&mut unix, way, &rows[..size]).await,
                    time(&mut tcp, way, &rows[..size]).await,
                ];
                if call > 0 {
                    near.push(times[0]);
                    far.push(times[1]);
                }
            }
            let [(near, disturbed), (median, late)] = [near, far].map(|mut times| {
                times.sort_unstable();
                let median = times[times.len() / 2];
                let late = times.iter().filter(|time| **time > median + STALL);
                (median, late.count())
            });
            let stalled = if median > near * 5 / 2 + STALL {
                calls
            } else {
                late.saturating_sub(disturbed)
            };
            println!(
                "bulk/tcp/{way:?}/{size}: {stalled} of {calls} stalled; median {median:?} over TCP, {near:?} over a Unix socket"
            );
            stalls += stalled;
        }
    });
    let calls = (WAYS.len() * SIZES.len() * calls) as f64;
    harness::record(
        "bulk/tcp/stalled_calls/all_calls",
        stalls as f64,
        calls,
        "calls",
    );
}

/// The time of one call.
async fn time<R>(connection: &mut PgConnection, way: Strategy, rows: &[R]) -> Duration
where
    R: BulkRow<Postgres> + Send + Sync,
{
    let start = Instant::now();
    let insert = BulkInsert::into("flights").strategy(way);
    let report = insert.execute(&mut *connection, rows).await;
    let time = start.elapsed();
    assert_eq!(report.expect("an insert").written, rows.len() as u64);
    sqlx::raw_sql("TRUNCATE flights")
        .execute(&mut *connection)
        .await
        .expect("a statement");
    time
}

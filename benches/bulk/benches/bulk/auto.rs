//! The automatic choice of a way beside each fixed one, over a Unix socket to Postgres.

use crate::row::{Row, row};
use criterion::Criterion;
use perf_bulk::{BulkInsert, Strategy};
use perf_testkit::PostgresServer;
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const CREATE: &str = "CREATE TABLE flights (id bigint, year int, month int, day int, dep_time int, \
     sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int, arr_delay int, carrier text, \
     flight int, tailnum text, origin text, dest text, air_time int, distance int, hour int, minute int, \
     time_hour text)";
const WAYS: [Strategy; 4] = [
    Strategy::Auto,
    Strategy::Values,
    Strategy::Unnest,
    Strategy::Copy,
];
const SIZES: [(&str, usize); 6] = [
    ("bulk/auto/1_postgres/best_fixed", 1),
    ("bulk/auto/10_postgres/best_fixed", 10),
    ("bulk/auto/100_postgres/best_fixed", 100),
    ("bulk/auto/1k_postgres/best_fixed", 1_000),
    ("bulk/auto/10k_postgres/best_fixed", 10_000),
    ("bulk/auto/100k_postgres/best_fixed", 100_000),
];
/// How many rows a way writes in a round at least.
const ROWS_PER_ROUND: usize = 10_000;

pub(crate) fn ways(_criterion: &mut Criterion) {
    if !harness::is_wanted("bulk/auto") {
        return;
    }
    let data = perf_testkit::flights::load().expect("the data set is in the repository");
    let data = Box::leak(Box::new(data));
    let rows: Vec<_> = data.repeated(100_000).map(row).collect();
    let server = PostgresServer::start_durable().expect("a server");
    let url = server.database().expect("a database").url_unix();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&url).await.expect("a connection");
        execute(&mut connection, CREATE).await;
        // A commit that waits for the disk would hide what is compared.
        execute(&mut connection, "SET synchronous_commit = off").await;
        for (id, size) in SIZES {
            compare(&mut connection, id, &rows[..size]).await;
        }
    });
}

async fn compare(connection: &mut PgConnection, id: &str, rows: &[Row<'static>]) {
    let rounds = if harness::is_quick() { 7 } else { 21 };
    let calls = ROWS_PER_ROUND.div_ceil(rows.len()).min(300);
    let mut times = WAYS.map(|_| Vec::new());
    for round in 0..=rounds {
        for (way, times) in WAYS.into_iter().zip(&mut times) {
            execute(connection, "TRUNCATE flights").await;
            let time = timed(connection, way, rows, calls).await;
            // The first round prepares what the others find prepared.
            if round > 0 {
                times.push(time);
            }
        }
    }
    let [auto, fixed @ ..] = times;
    let ours = median(auto.iter().map(|time| time.as_secs_f64()));
    // A round's times are neighbours: what disturbs the machine hits them alike.
    let behind = fixed.map(|fixed| {
        let rounds = auto.iter().zip(&fixed);
        median(rounds.map(|(auto, fixed)| auto.as_secs_f64() / fixed.as_secs_f64()))
    });
    let worst = behind.into_iter().fold(0.0, f64::max);
    println!(
        "{id}: of the times of {:?} ours is {behind:.2?}",
        &WAYS[1..]
    );
    let ours = ours * 1e9 / calls as f64;
    harness::record(id, ours, ours / worst, "ns");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn timed(
    connection: &mut PgConnection,
    way: Strategy,
    rows: &[Row<'static>],
    calls: usize,
) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        let insert = BulkInsert::into("flights").strategy(way);
        let report = insert.execute(&mut *connection, rows).await;
        assert_eq!(report.expect("an insert").written, rows.len() as u64);
    }
    start.elapsed()
}

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql)
        .execute(connection)
        .await
        .expect("a statement");
}

//! 27,004 flights into a file in WAL mode, one transaction, which an iteration empties before its time starts.

use crate::row::{COLUMNS, Row, row};
use criterion::Criterion;
use harness::Comparison;
use perf_bulk::BulkInsert;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection};
use tokio::runtime::Runtime;

const CREATE: &str = "CREATE TABLE flights (id INTEGER PRIMARY KEY, year INTEGER, month INTEGER, day INTEGER, \
     dep_time INTEGER, sched_dep_time INTEGER, dep_delay INTEGER, arr_time INTEGER, sched_arr_time INTEGER, \
     arr_delay INTEGER, carrier TEXT, flight INTEGER, tailnum TEXT, origin TEXT, dest TEXT, air_time INTEGER, \
     distance INTEGER, hour INTEGER, minute INTEGER, time_hour TEXT)";

crate::driver!(SqliteConnection, empty = "DELETE FROM flights");
crate::push_values!(Sqlite, SqliteConnection);

pub(crate) fn insert(criterion: &mut Criterion) {
    let data = perf_testkit::flights::load().expect("the data set is in the repository");
    let rows: Vec<_> = data.repeated(data.flights.len()).map(row).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flights.db");
    let runtime = Runtime::new().expect("a runtime");
    let open = || {
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        runtime.block_on(options.connect()).expect("a connection")
    };
    let mut first = open();
    runtime.block_on(execute(&mut first, CREATE));
    let (runtime, rows) = (&runtime, &rows);
    let mut comparison = Comparison::new("bulk/insert/flights_sqlite");

    let mut connection = open();
    comparison.add_timed("perfkit", move |iterations| {
        runtime.block_on(timed(
            iterations,
            &mut connection,
            rows.len(),
            async |connection| {
                BulkInsert::into("flights")
                    .execute(&mut *connection, rows)
                    .await
                    .expect("an insert");
            },
        ))
    });
    let mut peer = rusqlite::Connection::open(&path).expect("a connection");
    let mut connection = open();
    comparison.add_timed("rusqlite", move |iterations| {
        runtime.block_on(timed(iterations, &mut connection, rows.len(), async |_| {
            insert_by_rusqlite(&mut peer, rows);
        }))
    });
    let mut connection = open();
    // Fifty rows a statement is the best width on this table.
    comparison.add_timed("sqlx_push_values_best", move |iterations| {
        runtime.block_on(timed(
            iterations,
            &mut connection,
            rows.len(),
            async |connection| {
                insert_by_push_values(connection, rows, 50).await;
            },
        ))
    });
    let mut connection = open();
    comparison.add_timed("sqlx_row_by_row", move |iterations| {
        runtime.block_on(timed(
            iterations,
            &mut connection,
            rows.len(),
            async |connection| {
                insert_by_push_values(connection, rows, 1).await;
            },
        ))
    });
    comparison.run(criterion);
}

fn insert_by_rusqlite(connection: &mut rusqlite::Connection, rows: &[Row<'_>]) {
    let transaction = connection.transaction().expect("a transaction");
    {
        let marks = ["?"; 20].join(", ");
        let sql = format!("INSERT INTO flights ({COLUMNS}) VALUES ({marks})");
        let mut statement = transaction.prepare(&sql).expect("a statement");
        for r in rows {
            let values = rusqlite::params![
                r.id,
                r.year,
                r.month,
                r.day,
                r.dep_time,
                r.sched_dep_time,
                r.dep_delay,
                r.arr_time,
                r.sched_arr_time,
                r.arr_delay,
                r.carrier,
                r.flight,
                r.tailnum,
                r.origin,
                r.dest,
                r.air_time,
                r.distance,
                r.hour,
                r.minute,
                r.time_hour
            ];
            statement.execute(values).expect("an insert");
        }
    }
    transaction.commit().expect("a commit");
}

//! 27,004 flights into a table of MariaDB over TCP, one transaction, into an emptied table.

use crate::row::{COLUMNS, Row, row};
use criterion::Criterion;
use harness::Comparison;
use perf_bulk::BulkInsert;
use perf_testkit::MariaDbServer;
use sqlx::{Connection, MySql, MySqlConnection};
use tokio::runtime::Runtime;

const CREATE: &str = "CREATE TABLE flights (id BIGINT PRIMARY KEY, year INT, month INT, day INT, \
     dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT, sched_arr_time INT, arr_delay INT, \
     carrier VARCHAR(2), flight INT, tailnum VARCHAR(10), origin VARCHAR(3), dest VARCHAR(3), air_time INT, \
     distance INT, hour INT, minute INT, time_hour VARCHAR(30))";

crate::driver!(MySqlConnection, empty = "TRUNCATE flights");
crate::push_values!(MySql, MySqlConnection);

pub(crate) fn insert(criterion: &mut Criterion) {
    let data = perf_testkit::flights::load().expect("the data set is in the repository");
    let data = Box::leak(Box::new(data));
    let rows: Vec<_> = data.repeated(data.flights.len()).map(row).collect();
    let server = MariaDbServer::start_durable().expect("a server");
    let url = server.database().expect("a database").url();
    let runtime = Runtime::new().expect("a runtime");
    let open = || {
        runtime
            .block_on(MySqlConnection::connect(&url))
            .expect("a connection")
    };
    let mut first = open();
    runtime.block_on(execute(&mut first, CREATE));
    let (runtime, rows) = (&runtime, &rows);
    let mut comparison = Comparison::new("bulk/insert/flights_mariadb");
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
    let mut connection = open();
    // A hundred rows a statement is the best width on this table.
    comparison.add_timed("sqlx_push_values", move |iterations| {
        runtime.block_on(timed(
            iterations,
            &mut connection,
            rows.len(),
            async |connection| {
                insert_by_push_values(connection, rows, 100).await;
            },
        ))
    });
    comparison.run(criterion);
}

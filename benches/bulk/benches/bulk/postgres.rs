//! 324,048 flights into a table of Postgres over a Unix socket, one transaction, into an emptied table.

use crate::row::{COLUMNS, Row, row};
use criterion::Criterion;
use futures_util::TryStreamExt;
use harness::Comparison;
use perf_bulk::BulkInsert;
use perf_testkit::PostgresServer;
use sqlx::{Acquire, Connection, PgConnection, Postgres};
use std::pin::pin;
use tokio::runtime::Runtime;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

const CREATE: &str = "CREATE TABLE flights (id bigint, year int, month int, day int, dep_time int, \
     sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int, arr_delay int, carrier text, \
     flight int, tailnum text, origin text, dest text, air_time int, distance int, hour int, minute int, \
     time_hour text)";

crate::driver!(PgConnection, empty = "TRUNCATE flights");
crate::push_values!(Postgres, PgConnection);

pub(crate) fn insert(criterion: &mut Criterion) {
    let data = perf_testkit::flights::load().expect("the data set is in the repository");
    // An optional borrowed text is a value of Postgres only if it lives forever.
    let data = Box::leak(Box::new(data));
    let rows: Vec<_> = data.repeated(data.flights.len() * 12).map(row).collect();
    let server = PostgresServer::start_durable().expect("a server");
    let database = server.database().expect("a database");
    let url = database.url_unix();
    let runtime = Runtime::new().expect("a runtime");
    let open = || {
        runtime
            .block_on(PgConnection::connect(&url))
            .expect("a connection")
    };
    let mut first = open();
    let encoded = runtime.block_on(prepare(&mut first, &rows));
    let peer = runtime.block_on(tokio_postgres_client(&url));
    let (runtime, rows, encoded, peer) = (&runtime, &rows, &encoded, &peer);
    let mut comparison = Comparison::new("bulk/insert/flights_postgres");

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
    comparison.add_timed("copy_replay", move |iterations| {
        runtime.block_on(timed(
            iterations,
            &mut connection,
            rows.len(),
            async |connection| {
                replay(connection, encoded).await;
            },
        ))
    });
    let mut connection = open();
    comparison.add_timed("tokio_postgres_binary_copy", move |iterations| {
        runtime.block_on(timed(iterations, &mut connection, rows.len(), async |_| {
            insert_by_tokio_postgres(peer, rows).await;
        }))
    });
    let mut connection = open();
    comparison.add_timed("sqlx_push_values", move |iterations| {
        runtime.block_on(timed(
            iterations,
            &mut connection,
            rows.len(),
            async |connection| {
                insert_by_push_values(connection, rows, 500).await;
            },
        ))
    });
    comparison.run(criterion);
}

/// Creates the table, and has the server encode the rows as a COPY of them.
async fn prepare(connection: &mut PgConnection, rows: &[Row<'static>]) -> Vec<u8> {
    execute(connection, CREATE).await;
    BulkInsert::into("flights")
        .execute(&mut *connection, rows)
        .await
        .expect("an insert");
    let copy = connection.copy_out_raw("COPY flights TO STDOUT (FORMAT binary)");
    let parts: Vec<_> = copy
        .await
        .expect("a copy")
        .try_collect()
        .await
        .expect("bytes");
    parts.concat()
}

async fn tokio_postgres_client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client
}

async fn replay(connection: &mut PgConnection, encoded: &[u8]) {
    let mut transaction = Acquire::begin(connection).await.expect("a transaction");
    let statement = format!("COPY flights ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let mut copy = transaction.copy_in_raw(&statement).await.expect("a copy");
    for part in encoded.chunks(64 << 10) {
        copy.send(part).await.expect("sent");
    }
    copy.finish().await.expect("an insert");
    transaction.commit().await.expect("a commit");
}

async fn insert_by_tokio_postgres(client: &Client, rows: &[Row<'_>]) {
    const INT: Type = Type::INT4;
    const TEXT: Type = Type::TEXT;
    const TYPES: [Type; 20] = [
        Type::INT8,
        INT,
        INT,
        INT,
        INT,
        INT,
        INT,
        INT,
        INT,
        INT,
        TEXT,
        INT,
        TEXT,
        TEXT,
        TEXT,
        INT,
        INT,
        INT,
        INT,
        TEXT,
    ];
    client.batch_execute("BEGIN").await.expect("a transaction");
    let statement = format!("COPY flights ({COLUMNS}) FROM STDIN (FORMAT binary)");
    let sink = client.copy_in(&statement).await.expect("a copy");
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for r in rows {
        let values: [&(dyn ToSql + Sync); 20] = [
            &r.id,
            &r.year,
            &r.month,
            &r.day,
            &r.dep_time,
            &r.sched_dep_time,
            &r.dep_delay,
            &r.arr_time,
            &r.sched_arr_time,
            &r.arr_delay,
            &r.carrier,
            &r.flight,
            &r.tailnum,
            &r.origin,
            &r.dest,
            &r.air_time,
            &r.distance,
            &r.hour,
            &r.minute,
            &r.time_hour,
        ];
        writer.as_mut().write(&values).await.expect("written");
    }
    writer.finish().await.expect("an insert");
    client.batch_execute("COMMIT").await.expect("a commit");
}

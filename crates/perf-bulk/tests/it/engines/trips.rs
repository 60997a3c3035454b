//! How often a call goes to the server and back.

use super::{Database, Ticket};
use crate::support::{Plane, plane};
use perf_bulk::{BulkDelete, BulkInsert, BulkMap, BulkRead, BulkUpdate, BulkUpsert};
use perf_testkit::{FaultProxy, MariaDbServer, PostgresServer};
use sqlx::{Connection, Executor, MySqlConnection, PgConnection};

/// The round trips of calls about 100 planes each, once their statements are prepared.
macro_rules! trips {
    ($server:expr, $engine:ident, $connection:ty) => {{
        let server = $server;
        let database: Database = server.database().unwrap();
        let proxy = FaultProxy::start(server.address()).unwrap();
        let url = database.url_through(proxy.address());
        let mut connection = <$connection>::connect(&url).await.unwrap();
        for create in super::$engine::CREATE {
            connection.execute(create).await.unwrap();
        }
        let planes: Vec<_> = (0..100).map(plane).collect();
        let keys = (0..100_i64).map(|id| BulkMap::new().set("id", id));
        let keys: Vec<BulkMap<_>> = keys.collect();
        let changes = (0..100_i64).map(|id| BulkMap::new().set("id", id).set("seats", id + 1));
        let changes: Vec<BulkMap<_>> = changes.collect();
        let mut trips = Vec::new();
        for _round in 0..2 {
            trips.clear();
            let mut count = |before| trips.push(proxy.traffic().round_trips - before);

            let before = proxy.traffic().round_trips;
            let insert = BulkInsert::into("planes").execute(&mut connection, &planes);
            assert_eq!(insert.await.unwrap().written, 100);
            count(before);

            let before = proxy.traffic().round_trips;
            let tickets = (0..100).map(|tag| Ticket { tag });
            let insert = BulkInsert::into("tickets").returning_ids("id");
            let report = insert.execute(&mut connection, tickets).await.unwrap();
            assert_eq!(report.ids.len(), 100);
            count(before);

            let before = proxy.traffic().round_trips;
            let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
            upsert.execute(&mut connection, &planes).await.unwrap();
            count(before);

            let before = proxy.traffic().round_trips;
            let update = BulkUpdate::of("planes").by(["id"]);
            let report = update.execute(&mut connection, &changes).await.unwrap();
            assert_eq!(report.count(), 100);
            count(before);

            let before = proxy.traffic().round_trips;
            let read = BulkRead::from("planes").execute(&mut connection, &keys);
            let found: Vec<Option<Plane>> = read.await.unwrap();
            assert!(found.iter().all(Option::is_some));
            count(before);

            let before = proxy.traffic().round_trips;
            let delete = BulkDelete::from("planes").execute(&mut connection, &keys);
            assert_eq!(delete.await.unwrap().count(), 100);
            count(before);
        }
        trips
    }};
}

#[tokio::test]
async fn calls_on_postgres_are_few_round_trips() {
    let trips = trips!(PostgresServer::shared().unwrap(), Postgres, PgConnection);
    let (begin, commit) = (1, 1);
    let expected = [
        begin + 1 + commit,
        // Where the ids come from, the ids, the rows.
        begin + 1 + 1 + 1 + commit,
        begin + 1 + commit,
        begin + 1 + commit,
        1,
        begin + 1 + commit,
    ];
    assert_eq!(trips, expected);
}

#[tokio::test]
async fn calls_on_mariadb_are_few_round_trips() {
    let trips = trips!(MariaDbServer::shared().unwrap(), MariaDb, MySqlConnection);
    // The second BEGIN goes with the question for the columns.
    let (begin, commit) = (2, 1);
    let expected = [
        begin + 1 + commit,
        begin + 1 + commit,
        // Which rows exist, and their changes, 32 a statement.
        begin + 1 + 4 + commit,
        begin + 1 + 4 + commit,
        begin + 1 + commit,
        begin + 1 + 1 + commit,
    ];
    assert_eq!(trips, expected);
}

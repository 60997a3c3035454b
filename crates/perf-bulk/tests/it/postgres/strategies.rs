//! Each way leads to the same rows.

use super::{connection, database, execute, ids, planes};
use crate::support::{Plane, plane};
use perf_bulk::{
    Atomicity, BulkError, BulkInsert, BulkRow, BulkUpsert, DuplicateKeys, Strategy, Upserted,
};
use sqlx::Connection;

const ALL: [Strategy; 5] = [
    Strategy::Auto,
    Strategy::Values,
    Strategy::Unnest,
    Strategy::Copy,
    Strategy::Staged,
];

#[tokio::test]
async fn every_way_inserts_the_same() {
    let database = database();
    let mut connection = connection(&database).await;
    for strategy in ALL {
        for count in [1, 20, 1_500] {
            let rows: Vec<_> = (0..count)
                .map(|id| Plane {
                    tailnum: (id % 3 != 0).then(|| format!("N{id}é")),
                    ..plane(id)
                })
                .collect();
            for nested in [false, true] {
                let mut transaction = connection.begin().await.unwrap();
                let insert = BulkInsert::into("planes").strategy(strategy);
                if nested {
                    insert.execute(&mut *transaction, &rows).await.unwrap();
                    transaction.commit().await.unwrap();
                } else {
                    transaction.rollback().await.unwrap();
                    insert.execute(&mut connection, &rows).await.unwrap();
                }
                assert_eq!(planes(&mut connection).await, rows, "{strategy:?}");
                execute(&mut connection, "TRUNCATE planes").await;
            }
        }
    }
}

#[tokio::test]
async fn every_way_upserts_the_same() {
    let database = database();
    let mut connection = connection(&database).await;
    for strategy in ALL {
        let first: Vec<_> = (0..50).map(plane).collect();
        let upsert = || {
            BulkUpsert::into("planes")
                .on_conflict(["id"])
                .strategy(strategy)
                .duplicates(DuplicateKeys::KeepLast)
        };
        let report = upsert().execute(&mut connection, &first).await.unwrap();
        assert_eq!(report.count(Upserted::Inserted), 50);
        let mut second: Vec<_> = (25..2_100)
            .map(|id| Plane {
                seats: Some(7),
                ..plane(id)
            })
            .collect();
        second.push(Plane {
            seats: Some(8),
            ..plane(30)
        });
        let report = upsert().execute(&mut connection, &second).await.unwrap();
        for (row, outcome) in second.iter().zip(&report.outcomes) {
            let expected = match (row.id, row.seats) {
                (30, Some(7)) => Upserted::Superseded,
                (id, _) if id < 50 => Upserted::Updated,
                _ => Upserted::Inserted,
            };
            assert_eq!(*outcome, expected, "{strategy:?}, {row:?}");
        }
        let stored = planes(&mut connection).await;
        assert_eq!(stored.len(), 2_100);
        assert_eq!(stored[30].seats, Some(8));
        assert!(stored[31..].iter().all(|plane| plane.seats == Some(7)));
        execute(&mut connection, "TRUNCATE planes").await;
    }
}

#[derive(BulkRow, Clone, Debug)]
struct Tagged {
    id: i64,
    tags: Vec<String>,
}

#[tokio::test]
async fn a_column_that_cannot_be_unnested_goes_as_values() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE TABLE tagged (id bigint PRIMARY KEY, tags text[])",
    )
    .await;
    let rows: Vec<_> = (0..200)
        .map(|id| Tagged {
            id,
            tags: vec![format!("a{id}"), "b".to_owned()],
        })
        .collect();
    let insert = BulkInsert::into("tagged").strategy(Strategy::Unnest);
    insert.execute(&mut connection, &rows).await.unwrap();
    let upsert = BulkUpsert::into("tagged").on_conflict(["id"]);
    let report = upsert.execute(&mut connection, &rows).await.unwrap();
    assert_eq!(report.count(Upserted::Updated), 200);
    let wrong: i64 =
        sqlx::query_scalar("SELECT count(*) FROM tagged WHERE tags <> ARRAY['a' || id::text, 'b']")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(wrong, 0);
}

#[derive(BulkRow, Clone, Debug)]
struct Tag {
    tag: i64,
}

#[tokio::test]
async fn ids_that_somebody_might_change_are_refused() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS \
           $$ BEGIN NEW.id := 1000 - NEW.id; RETURN NEW; END $$; \
         CREATE TABLE triggered (id serial PRIMARY KEY, tag bigint); \
         CREATE TRIGGER meddling BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION meddle(); \
         CREATE TABLE doubled (id bigint, tag bigint); \
         CREATE SEQUENCE doubling OWNED BY doubled.id; \
         ALTER TABLE doubled ALTER id SET DEFAULT nextval('doubling') * 2; \
         CREATE TABLE ruled (id serial, tag bigint); \
         CREATE RULE ruling AS ON INSERT TO ruled DO ALSO NOTIFY ruled; \
         CREATE VIEW viewed AS SELECT * FROM ruled",
    )
    .await;
    for table in ["triggered", "doubled", "ruled", "viewed"] {
        let insert = BulkInsert::into(table).returning_ids("id");
        let rows = [Tag { tag: 1 }, Tag { tag: 2 }];
        let error = insert.execute(&mut connection, rows).await.unwrap_err();
        assert!(
            matches!(&error, BulkError::OrderUnprovable { column, .. } if column == "id"),
            "{table}: {error:?}"
        );
    }
    let insert = BulkInsert::into("planes").returning_ids("id");
    let error = insert.execute(&mut connection, [plane(1)]).await;
    assert!(matches!(error, Err(BulkError::OrderUnprovable { .. })));
    assert!(ids(&mut connection).await.is_empty());
}

#[tokio::test]
async fn every_way_gives_ids_of_every_width() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(
        &mut connection,
        "CREATE TABLE small (id smallserial, tag bigint); CREATE TABLE plain (id serial, tag bigint); \
         CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY, tag bigint)",
    )
    .await;
    for table in ["small", "plain", "always"] {
        for (strategy, count) in ALL.iter().zip([5, 300, 400, 500, 700]) {
            let rows = (0..count).map(|tag| Tag { tag });
            let report = BulkInsert::into(table)
                .returning_ids("id")
                .strategy(*strategy)
                .chunk_rows(150)
                .atomicity(Atomicity::PerChunk)
                .execute(&mut connection, rows)
                .await
                .unwrap();
            let sql = format!(
                "SELECT count(*) FROM unnest($1::bigint[]) WITH ORDINALITY AS given (id, ordinal) \
                 JOIN {table} USING (id) WHERE tag = ordinal - 1"
            );
            let right: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
                .bind(&report.ids)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            assert_eq!(right, count, "{table}, {strategy:?}");
            assert_eq!(report.ids.len() as u64, report.written);
        }
    }
}

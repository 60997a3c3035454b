//! Updates, deletes and reads by keys, and rows as maps.

use crate::support::{Plane, plane};
use perf_bulk::{
    BulkDelete, BulkError, BulkInsert, BulkMap, BulkRead, BulkRow, BulkUpdate, BulkUpsert,
};

macro_rules! suite {
    ($module:ident) => {
        mod $module {
            use super::*;
            use crate::engines::cases;
            use crate::engines::$module::*;

            #[tokio::test]
            async fn updates_of_different_columns_agree_with_a_map() {
                let (_engine, mut connection) = start().await;
                let mut model = filled(&mut connection).await;
                for seed in 0..cases(10) {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let mut ids: Vec<i64> = (0..900).collect();
                    rng.shuffle(&mut ids);
                    ids.truncate(rng.usize(0..600));
                    let changes: Vec<_> = ids
                        .iter()
                        .map(|id| {
                            let row = BulkMap::new().set("id", *id);
                            let tailnum = format!("M{seed}-{id}");
                            match rng.u8(0..3) {
                                0 => row.set("seats", *id % 50 + 7),
                                1 => row.set("tailnum", None::<String>),
                                _ => row.set("seats", 3_i64).set("tailnum", tailnum),
                            }
                        })
                        .collect();
                    let update = BulkUpdate::of("planes").by(["id"]);
                    let report = update.execute(&mut connection, &changes).await.unwrap();
                    for ((id, change), matched) in ids.iter().zip(&changes).zip(&report.matched) {
                        assert_eq!(*matched, model.contains_key(id), "seed {seed}");
                        let Some(plane) = model.get_mut(id) else {
                            continue;
                        };
                        match change.columns().as_slice() {
                            ["id", "seats"] => plane.seats = Some(*id % 50 + 7),
                            ["id", "tailnum"] => plane.tailnum = None,
                            _ => {
                                plane.seats = Some(3);
                                plane.tailnum = Some(format!("M{seed}-{id}"));
                            }
                        }
                    }
                    let expected: Vec<_> = model.values().cloned().collect();
                    assert_eq!(planes(&mut connection).await, expected, "seed {seed}");
                }
            }

            #[tokio::test]
            async fn deletes_and_reads_find_their_keys_in_order() {
                let (_engine, mut connection) = start().await;
                filled(&mut connection).await;
                let keys: Vec<_> = (0..1_000_i64)
                    .rev()
                    .step_by(3)
                    .map(|id| BulkMap::new().set("id", id))
                    .collect();
                let read = || BulkRead::from("planes");
                let found: Vec<Option<Plane>> =
                    read().execute(&mut connection, &keys).await.unwrap();
                let expected: Vec<_> = (0..1_000)
                    .rev()
                    .step_by(3)
                    .map(|id| (id < 700).then(|| plane(id)))
                    .collect();
                assert_eq!(found, expected);

                let delete = BulkDelete::from("planes");
                let report = delete.execute(&mut connection, &keys).await.unwrap();
                let matched: Vec<_> = expected.iter().map(Option::is_some).collect();
                assert_eq!(report.matched, matched);
                let left = planes(&mut connection).await;
                assert_eq!(left.len(), 700 - report.count());
                let found: Vec<Option<Plane>> =
                    read().execute(&mut connection, &keys).await.unwrap();
                assert!(found.iter().all(Option::is_none));

                let key = |id: i64| BulkMap::new().set("tailnum", format!("N{id}")).set("id", id);
                let keys = [key(1), key(700).set("id", 1_i64)];
                let found: Vec<Option<Plane>> =
                    read().execute(&mut connection, &keys).await.unwrap();
                assert_eq!(found, [Some(plane(1)), None]);
            }

            #[tokio::test]
            async fn what_makes_no_sense_is_refused_before_anything_is_sent() {
                let (_engine, mut connection) = start().await;
                filled(&mut connection).await;
                let row = |id: i64| BulkMap::new().set("id", id).set("seats", 1_i64);
                let nothing: [BulkMap<_>; 0] = [];

                let update = || BulkUpdate::of("planes").by(["id"]);
                let error = update().execute(&mut connection, &[row(1), row(2), row(1)]).await;
                assert!(
                    matches!(error, Err(BulkError::DuplicateKey { first: 0, second: 2 })),
                    "{error:?}"
                );
                let error = BulkUpdate::of("planes").execute(&mut connection, &[row(1)]).await;
                assert!(matches!(error, Err(BulkError::Config(_))), "{error:?}");
                let only_key = [BulkMap::new().set("id", 1_i64)];
                let error = update().execute(&mut connection, &only_key).await;
                assert!(matches!(error, Err(BulkError::Config(_))), "{error:?}");
                let error = BulkUpdate::of("planes").by(["number"]);
                let error = error.execute(&mut connection, &[row(1)]).await;
                assert!(
                    matches!(&error, Err(BulkError::UnknownColumn { column, .. }) if column == "number"),
                    "{error:?}"
                );
                let unknown = [row(1).set("colour", "red")];
                let error = update().execute(&mut connection, &unknown).await;
                assert!(
                    matches!(&error, Err(BulkError::UnknownColumn { column, .. }) if column == "colour"),
                    "{error:?}"
                );
                let mixed = [row(900), BulkMap::new().set("seats", 1_i64).set("id", 901_i64)];
                let error = BulkInsert::into("planes").execute(&mut connection, &mixed).await;
                assert!(matches!(error, Err(BulkError::ColumnNames { row: 1, .. })), "{error:?}");
                let insert = BulkInsert::into("planes").chunk_rows(0);
                let error = insert.execute(&mut connection, [plane(900)]).await;
                assert!(matches!(error, Err(BulkError::Config(_))), "{error:?}");
                let upsert = BulkUpsert::into("planes").on_conflict(["colour"]);
                let error = upsert.execute(&mut connection, &[plane(1)]).await;
                assert!(matches!(error, Err(BulkError::UnknownColumn { .. })), "{error:?}");

                let report = BulkInsert::into("nowhere").execute(&mut connection, &nothing).await;
                assert_eq!(report.unwrap().written, 0);
                let report = update().execute(&mut connection, &nothing).await.unwrap();
                assert!(report.matched.is_empty());
                let report = BulkDelete::from("nowhere").execute(&mut connection, &nothing).await;
                assert!(report.unwrap().matched.is_empty());
                let read = BulkRead::from("nowhere").execute(&mut connection, &nothing).await;
                assert_eq!(read.unwrap(), Vec::<Option<Plane>>::new());
                let expected: Vec<_> = (0..700).map(plane).collect();
                assert_eq!(planes(&mut connection).await, expected);
            }

            #[tokio::test]
            async fn json_objects_take_the_types_of_their_columns() {
                let (_engine, mut connection) = start().await;
                let columns = ["id", "tailnum", "seats"];
                let rows: Vec<_> = (0..300)
                    .map(|id| match id % 2 {
                        0 => serde_json::json!({ "id": id, "tailnum": format!("N{id}"), "seats": 5 }),
                        _ => serde_json::json!({ "seats": id, "id": id, "remarks": [1] }),
                    })
                    .map(|object| BulkMap::from_json(columns, &object))
                    .collect();
                BulkInsert::into("planes").execute(&mut connection, &rows).await.unwrap();
                let expected: Vec<_> = (0..300)
                    .map(|id| match id % 2 {
                        0 => Plane { seats: Some(5), ..plane(id) },
                        _ => Plane { id, tailnum: None, seats: Some(id) },
                    })
                    .collect();
                assert_eq!(planes(&mut connection).await, expected);
            }
        }
    };
}

suite!(sqlite);
suite!(postgres);
suite!(mariadb);

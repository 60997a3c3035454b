use super::{connection, database, execute, planes};
use crate::support::{Plane, plane};
use perf_bulk::{BulkError, BulkUpsert, DuplicateKeys, Upserted};
use std::collections::BTreeMap;

#[tokio::test]
async fn upserts_agree_with_a_map() {
    let database = database();
    let mut connection = connection(&database).await;
    let mut model: BTreeMap<i64, i64> = BTreeMap::new();
    for seed in 0..25 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rows: Vec<_> = (0..rng.usize(0..400))
            .map(|_| Plane {
                seats: Some(rng.i64(1..99)),
                ..plane(rng.i64(0..500))
            })
            .collect();
        let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
        let report = upsert
            .duplicates(DuplicateKeys::KeepLast)
            .execute(&mut connection, &rows)
            .await
            .unwrap();
        let last: BTreeMap<_, _> = rows
            .iter()
            .zip(0..)
            .map(|(row, index)| (row.id, index))
            .collect();
        for (index, (row, outcome)) in rows.iter().zip(&report.outcomes).enumerate() {
            let expected = match (last[&row.id] == index, model.contains_key(&row.id)) {
                (false, _) => Upserted::Superseded,
                (true, true) => Upserted::Updated,
                (true, false) => Upserted::Inserted,
            };
            assert_eq!(*outcome, expected, "seed {seed}, row {index}");
        }
        model.extend(rows.iter().map(|row| (row.id, row.seats.unwrap())));
        let expected: Vec<_> = model
            .iter()
            .map(|(id, seats)| Plane {
                seats: Some(*seats),
                ..plane(*id)
            })
            .collect();
        assert_eq!(planes(&mut connection).await, expected);
    }
}

#[tokio::test]
async fn rows_to_be_kept_are_kept_and_null_keys_are_new() {
    let database = database();
    let mut connection = connection(&database).await;
    execute(&mut connection, "INSERT INTO planes VALUES (1, 'N1', 50)").await;
    let upsert = BulkUpsert::into("planes")
        .on_conflict(["id"])
        .keep_existing();
    let rows = [
        Plane {
            seats: Some(9),
            ..plane(1)
        },
        plane(2),
    ];
    let report = upsert.execute(&mut connection, &rows).await.unwrap();
    assert_eq!(report.outcomes, [Upserted::Kept, Upserted::Inserted]);
    assert_eq!(planes(&mut connection).await[0].seats, Some(50));

    let upsert = BulkUpsert::into("planes")
        .on_conflict(["tailnum"])
        .keep_existing();
    let rows = [3, 4].map(|id| Plane {
        tailnum: None,
        ..plane(id)
    });
    let report = upsert.execute(&mut connection, &rows).await.unwrap();
    assert_eq!(report.outcomes, [Upserted::Inserted, Upserted::Inserted]);
}

#[tokio::test]
async fn what_is_refused_names_its_row_when_there_is_one() {
    let database = database();
    let mut connection = connection(&database).await;
    let rows = [plane(1), plane(2), plane(1)];
    let upsert = BulkUpsert::into("planes").on_conflict(["id"]);
    let error = upsert.execute(&mut connection, &rows).await.unwrap_err();
    assert!(
        matches!(
            error,
            BulkError::DuplicateKey {
                first: 0,
                second: 2
            }
        ),
        "{error:?}"
    );
    let upsert = BulkUpsert::into("planes").on_conflict(["seats"]);
    let error = upsert
        .execute(&mut connection, &rows[..1])
        .await
        .unwrap_err();
    assert!(matches!(error, BulkError::Database { .. }), "{error:?}");
    assert!(planes(&mut connection).await.is_empty());
}

use crate::support::{Plane, execute, memory, plane, planes};
use perf_bulk::{BulkError, BulkInsert, BulkUpsert, DuplicateKeys, Upserted};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn seated(id: i64, seats: i64) -> Plane {
    Plane {
        seats: Some(seats),
        ..plane(id)
    }
}

#[tokio::test]
async fn only_the_named_columns_of_an_existing_row_change() {
    let mut connection = memory().await;
    BulkInsert::into("planes")
        .execute(&mut connection, [seated(1, 50)])
        .await
        .unwrap();
    let renamed = Plane {
        tailnum: Some("new".into()),
        ..seated(1, 60)
    };
    let upsert = BulkUpsert::into("planes")
        .on_conflict(["id"])
        .update(["tailnum"]);
    let report = upsert.execute(&mut connection, &[renamed]).await.unwrap();
    assert_eq!(report.outcomes, [Upserted::Updated]);
    let expected = Plane {
        tailnum: Some("new".into()),
        ..seated(1, 50)
    };
    assert_eq!(planes(&mut connection).await, [expected]);

    let upsert = BulkUpsert::into("planes")
        .on_conflict(["id"])
        .keep_existing();
    let report = upsert
        .execute(&mut connection, &[seated(2, 5), seated(1, 5)])
        .await
        .unwrap();
    assert_eq!(report.outcomes, [Upserted::Inserted, Upserted::Kept]);
}

#[tokio::test]
async fn keys_that_only_a_collation_equates_are_different_keys() {
    let mut connection = memory().await;
    execute(&mut connection, "DROP TABLE planes").await;
    execute(
        &mut connection,
        "CREATE TABLE planes (id INTEGER, tailnum TEXT PRIMARY KEY COLLATE NOCASE, seats INTEGER)",
    )
    .await;
    let rows = ["n1", "N1"].map(|tailnum| Plane {
        tailnum: Some(tailnum.into()),
        ..plane(1)
    });
    for policy in [DuplicateKeys::KeepFirst, DuplicateKeys::KeepLast] {
        let upsert = BulkUpsert::into("planes").on_conflict(["tailnum"]);
        let upsert = upsert.duplicates(policy);
        let report = upsert.execute(&mut connection, &rows).await.unwrap();
        assert_eq!(report.outcomes[1], Upserted::Updated);
        assert_eq!(report.count(Upserted::Superseded), 0);
    }
}

#[tokio::test]
async fn a_null_in_the_key_equals_nothing() {
    let mut connection = memory().await;
    let rows = [1, 2, 3].map(|id| Plane {
        tailnum: None,
        ..plane(id)
    });
    let upsert = BulkUpsert::into("planes").on_conflict(["tailnum"]);
    let report = upsert.execute(&mut connection, &rows).await.unwrap();
    assert_eq!(report.count(Upserted::Inserted), 3);
}

#[tokio::test]
async fn duplicates_are_refused_by_name_before_anything_is_sent() {
    let mut connection = memory().await;
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
    assert!(planes(&mut connection).await.is_empty());
}

#[tokio::test]
async fn a_failure_names_the_row_of_the_input_and_leaves_nothing() {
    let mut connection = memory().await;
    let rows = [
        plane(1),
        plane(1),
        Plane {
            seats: None,
            ..plane(2)
        },
    ];
    let upsert = BulkUpsert::into("planes")
        .on_conflict(["id"])
        .duplicates(DuplicateKeys::KeepLast);
    let error = upsert.execute(&mut connection, &rows).await.unwrap_err();
    assert_eq!(error.row(), Some(2));
    assert!(planes(&mut connection).await.is_empty());
}

#[tokio::test]
async fn keys_must_name_columns_that_exist_and_have_an_index() {
    let mut connection = memory().await;
    let rows = [plane(1)];
    let error = BulkUpsert::into("planes")
        .execute(&mut connection, &rows)
        .await
        .unwrap_err();
    assert!(matches!(error, BulkError::Config(_)), "{error:?}");
    let upsert = BulkUpsert::into("planes").on_conflict(["wings"]);
    let error = upsert.execute(&mut connection, &rows).await.unwrap_err();
    assert!(
        matches!(error, BulkError::UnknownColumn { .. }),
        "{error:?}"
    );
    let upsert = BulkUpsert::into("planes").on_conflict(["seats"]);
    let error = upsert.execute(&mut connection, &rows).await.unwrap_err();
    assert!(matches!(error, BulkError::Database { .. }), "{error:?}");
}

#[tokio::test]
async fn a_table_without_rowids_reports_the_same_outcomes() {
    let mut connection = memory().await;
    execute(&mut connection, "DROP TABLE planes").await;
    execute(
        &mut connection,
        "CREATE TABLE planes (id INTEGER PRIMARY KEY, tailnum TEXT, seats INTEGER) WITHOUT ROWID",
    )
    .await;
    let upsert = || BulkUpsert::into("planes").on_conflict(["id"]);
    upsert()
        .execute(&mut connection, &[plane(0), plane(2)])
        .await
        .unwrap();
    let report = upsert()
        .execute(&mut connection, &[plane(0), plane(1), plane(2)])
        .await
        .unwrap();
    assert_eq!(
        report.outcomes,
        [Upserted::Updated, Upserted::Inserted, Upserted::Updated]
    );
}

/// What an upsert should do, row by row, on a map.
fn model(
    table: &mut BTreeMap<i64, i64>,
    rows: &[(i64, i64)],
    policy: DuplicateKeys,
) -> Vec<Upserted> {
    let preferred = |index: usize| {
        let id = rows[index].0;
        let mut same = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.0 == id)
            .map(|(index, _)| index);
        let chosen = match policy {
            DuplicateKeys::KeepFirst => same.next(),
            _ => same.next_back(),
        };
        chosen == Some(index)
    };
    let write = |(index, (id, seats)): (usize, &(i64, i64))| match preferred(index) {
        false => Upserted::Superseded,
        true if table.insert(*id, *seats).is_some() => Upserted::Updated,
        true => Upserted::Inserted,
    };
    rows.iter().enumerate().map(write).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn upserts_agree_with_a_map(
        batches in vec((vec((0_i64..8, 1_i64..99), 0..12), prop::bool::ANY), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut connection = memory().await;
            let mut table = BTreeMap::new();
            for (batch, first) in batches {
                let policy = if first { DuplicateKeys::KeepFirst } else { DuplicateKeys::KeepLast };
                let rows: Vec<_> = batch.iter().map(|(id, seats)| seated(*id, *seats)).collect();
                let upsert = BulkUpsert::into("planes").on_conflict(["id"]).duplicates(policy);
                let report = upsert.execute(&mut connection, &rows).await.unwrap();
                assert_eq!(report.outcomes, model(&mut table, &batch, policy));
            }
            let expected: Vec<_> = table.iter().map(|(id, seats)| seated(*id, *seats)).collect();
            assert_eq!(planes(&mut connection).await, expected);
        });
    }
}

//! Values that are easily rounded: microseconds, UUIDs and large numbers survive a cursor exactly.

use futures_util::TryStreamExt as _;
use perf_paginate::{
    Error, Field, Filter, PageQuery, Paginator, Resource, Schema, Signed, SqlSource, Timestamp,
};
use perf_testkit::PostgresServer;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{FromRow, Row as _};

/// A moment that sqlx has no type for without its own features.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: [u8; 16],
    at: Timestamp,
}

impl FromRow<'_, PgRow> for Event {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let micros: i64 = row.try_get_unchecked("at")?;
        let id: Vec<u8> = row.try_get_unchecked("id")?;
        let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap();
        let at = Timestamp::from_unix(micros.div_euclid(1_000_000) + 946_684_800, nanos);
        Ok(Self {
            id: id.try_into().unwrap(),
            at,
        })
    }
}

impl Resource for Event {
    fn schema() -> Result<Schema<Self>, Error> {
        Schema::builder("events")
            .field(Field::new("id", |event: &Self| event.id).filterable())
            .field(
                Field::new("at", |event: &Self| event.at)
                    .sortable()
                    .filterable(),
            )
            .key(["id"])
            .build()
    }
}

#[tokio::test]
async fn rows_a_microsecond_apart_are_neither_skipped_nor_repeated() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE events (id UUID PRIMARY KEY, at TIMESTAMPTZ NOT NULL);
         INSERT INTO events
         SELECT md5(n::text)::uuid, TIMESTAMPTZ '1999-12-31T23:59:59.999950Z' + n / 2 * INTERVAL '1 microsecond'
         FROM generate_series(0, 199) AS n;",
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<sqlx::Postgres, Event>::new(pool).unwrap();
    let paginator = Paginator::new(source, Signed::new(&[7; 32]).unwrap());
    let items = async |query: &PageQuery| -> Vec<Event> {
        paginator.items(query).unwrap().try_collect().await.unwrap()
    };

    let all = items(&PageQuery::new().sort("-at").size(3)).await;
    assert_eq!(all.len(), 200);
    assert!(all.is_sorted_by(|a, b| (b.at, b.id) < (a.at, a.id)));

    let since = Filter::gte("at", "2000-01-01T01:00:00+01:00");
    assert_eq!(items(&PageQuery::new().filter(since)).await.len(), 100);
    let two = [all[0].id, all[9].id];
    assert_eq!(
        items(&PageQuery::new().filter(Filter::is_in("id", two)))
            .await
            .len(),
        2
    );
    let moments = Filter::is_in("at", [all[0].at, all[9].at]);
    assert_eq!(items(&PageQuery::new().filter(moments)).await.len(), 4);

    let finer = Filter::eq("at", "2000-01-01T00:00:00.0000001Z");
    let error = paginator
        .page(&PageQuery::new().filter(finer))
        .await
        .unwrap_err();
    assert_eq!(
        (error.status(), error.to_string()),
        (
            400,
            "a value is beyond what the database can hold".to_owned()
        )
    );
}

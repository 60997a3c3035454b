//! Every source passes the suite.

use crate::rows::{self, Row};
use perf_paginate::conformance::{self, walks};
use perf_paginate::{SeekForm, SliceSource, SqlSource};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use std::cell::Cell;

/// How many cases each source walks; each is about 40 pages.
fn cases() -> u32 {
    let asked = std::env::var("PERF_SOAK_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    asked.unwrap_or(96)
}

fn read(row: &Row) -> conformance::Row {
    row.into()
}

#[tokio::test]
async fn memory() {
    let load = async |rows: &[conformance::Row], schema| SliceSource::new(schema, rows.to_vec());
    walks(cases(), "rows", conformance::Row::clone, load)
        .await
        .unwrap();
}

#[tokio::test]
async fn sqlite_in_every_form() {
    let pool = rows::table().await;
    let forms = Cell::new([SeekForm::RowValue, SeekForm::GuardedOr, SeekForm::Segments]);
    walks(cases(), "rows", read, async |rows, schema| {
        let rows: Vec<Row> = rows.iter().map(Row::from).collect();
        rows::fill(&pool, &rows).await;
        let [form, second, third] = forms.get();
        forms.set([second, third, form]);
        SqlSource::with_schema(pool.clone(), schema)
            .unwrap()
            .with_seek_form(form)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn postgres() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
           CREATE INDEX ON rows (a, id);
           CREATE INDEX ON rows (b DESC, a, id DESC);"#,
    )
    .execute(&pool)
    .await
    .unwrap();
    walks(cases(), "rows", read, async |rows, schema| {
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("DELETE FROM rows").execute(&mut *transaction).await.unwrap();
        sqlx::query("INSERT INTO rows SELECT * FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bool[])")
            .bind(rows.iter().map(|row| row.id).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.a).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.b.clone()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.c).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.d).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        SqlSource::with_schema(pool.clone(), schema).unwrap()
    })
    .await
    .unwrap();
}

/// No key has a descending part: through `(b DESC, a, id DESC)`, MariaDB 10.11.19 finds 4 of the 5 rows of
/// `b <= 'a' AND a = 1 AND id >= -4`, with no page involved.
#[tokio::test]
async fn mariadb() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let pool = MySqlPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
                              c BIGINT NOT NULL, d BOOLEAN NOT NULL, KEY (a, id), KEY (b, a, id));",
    )
    .execute(&pool)
    .await
    .unwrap();
    walks(cases(), "rows", read, async |rows, schema| {
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("DELETE FROM `rows`")
            .execute(&mut *transaction)
            .await
            .unwrap();
        for row in rows {
            sqlx::query("INSERT INTO `rows` VALUES (?, ?, ?, ?, ?)")
                .bind(row.id)
                .bind(row.a)
                .bind(&row.b)
                .bind(row.c)
                .bind(row.d)
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        SqlSource::with_schema(pool.clone(), schema).unwrap()
    })
    .await
    .unwrap();
}

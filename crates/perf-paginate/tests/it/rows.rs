//! One table for all tests: every kind of field, with NULLs and ties.

use perf_paginate::{Error, Field, Resource, Schema, conformance};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

/// A row of the table.
#[derive(Clone, Debug, PartialEq, serde::Serialize, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) a: Option<i64>,
    pub(crate) b: Option<String>,
    pub(crate) c: i64,
    pub(crate) d: bool,
}

impl Resource for Row {
    fn schema() -> Result<Schema<Self>, Error> {
        keyed(&["id"])
    }
}

impl From<&Row> for conformance::Row {
    fn from(row: &Row) -> Self {
        Self {
            id: row.id,
            a: row.a,
            b: row.b.clone(),
            c: row.c,
            d: row.d,
        }
    }
}

impl From<&conformance::Row> for Row {
    fn from(row: &conformance::Row) -> Self {
        Self {
            id: row.id,
            a: row.a,
            b: row.b.clone(),
            c: row.c,
            d: row.d,
        }
    }
}

/// The table's schema with another key.
pub(crate) fn keyed(key: &[&'static str]) -> Result<Schema<Row>, Error> {
    Schema::builder("rows")
        .field(Field::new("id", |row: &Row| row.id).sortable().filterable())
        .field(Field::new("a", |row: &Row| row.a).sortable().filterable())
        .field(
            Field::new("b", |row: &Row| row.b.clone())
                .sortable()
                .filterable()
                .aggregatable(),
        )
        .field(Field::new("c", |row: &Row| row.c).sortable().filterable())
        .field(Field::new("d", |row: &Row| row.d).sortable().filterable())
        .key(key.iter().copied())
        .build()
}

/// An empty table in memory, reached by one connection.
pub(crate) async fn table() -> SqlitePool {
    let options = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None);
    let pool = options.connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE rows (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c INTEGER NOT NULL, d INTEGER NOT NULL);
         CREATE INDEX by_a ON rows (a, id);
         CREATE INDEX by_b_a ON rows (b, a, id);
         CREATE INDEX by_c ON rows (c, a, id);
         CREATE INDEX by_c_a_mixed ON rows (c, a DESC, id DESC);",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool
}

/// Replaces the table's rows.
pub(crate) async fn fill(pool: &SqlitePool, rows: &[Row]) {
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("DELETE FROM rows")
        .execute(&mut *transaction)
        .await
        .unwrap();
    for row in rows {
        sqlx::query("INSERT INTO rows VALUES (?, ?, ?, ?, ?)")
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
}

/// So many rows, numbered from one.
pub(crate) fn counted(count: i64) -> Vec<Row> {
    let row = |id| Row {
        id,
        a: Some(id),
        b: Some("text".into()),
        c: id,
        d: true,
    };
    (1..=count).map(row).collect()
}

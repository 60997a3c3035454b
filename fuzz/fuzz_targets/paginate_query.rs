//! Any text as a request: read or refused with status 400, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perf_paginate::{Error, Field, PageQuery, Paginator, Plain, Schema, SliceSource};
use std::sync::LazyLock;

type Row = (i64, Option<i64>, String);

static PAGINATOR: LazyLock<Paginator<SliceSource<Row>>> = LazyLock::new(|| {
    let schema = Schema::builder("rows")
        .field(Field::new("id", |row: &Row| row.0))
        .field(Field::new("a", |row: &Row| row.1).sortable().filterable())
        .field(
            Field::new("b", |row: &Row| row.2.clone())
                .sortable()
                .filterable(),
        )
        .key(["id"])
        .build();
    Paginator::new(SliceSource::new(schema.expect("sound"), Vec::new()), Plain)
});

fuzz_target!(|text: &str| {
    for query in [PageQuery::parse(text), PageQuery::from_json(text)] {
        if let Err(error) = query.and_then(|query| PAGINATOR.check(&query)) {
            assert_eq!(Error::status(&error), 400, "{error}");
        }
    }
});

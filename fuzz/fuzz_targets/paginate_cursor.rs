//! Any bytes as a cursor: a signed or sealed one is never accepted, a plain one with a true head but any values
//! leads to a page or to an error with status 400.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use perf_paginate::{
    CursorCodec, Field, PageQuery, Paginator, Plain, Schema, Sealed, Signed, SliceSource,
};
use std::sync::LazyLock;

type Row = (i64, Option<String>);
type Rows = Paginator<SliceSource<Row>>;

static SIGNED: LazyLock<Rows> = LazyLock::new(|| {
    paginator(Signed::new(b"a key of thirty-two bytes, at least").expect("long enough"))
});
static SEALED: LazyLock<Rows> = LazyLock::new(|| {
    paginator(Sealed::new(b"a key of thirty-two bytes, at least").expect("long enough"))
});
static PLAIN: LazyLock<Rows> = LazyLock::new(|| paginator(Plain));
/// What every cursor of the query starts with: header, flags and bindings.
static HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let page = PLAIN
        .page(&query())
        .now_or_never()
        .expect("memory does not wait");
    let cursor = page.expect("rows").info.next.expect("more rows");
    BASE64.decode(cursor.as_str()).expect("base64")[..34].to_vec()
});

fn paginator(codec: impl CursorCodec) -> Rows {
    let schema = Schema::builder("rows")
        .field(Field::new("id", |row: &Row| row.0))
        .field(Field::new("b", |row: &Row| row.1.clone()).sortable())
        .key(["id"])
        .build();
    let rows: Vec<Row> = (0..9)
        .map(|id| (id, (id % 2 == 0).then(|| id.to_string())))
        .collect();
    Paginator::new(SliceSource::new(schema.expect("sound"), rows), codec)
}

fn query() -> PageQuery {
    PageQuery::new().sort("-b").size(2)
}

fuzz_target!(|bytes: &[u8]| {
    for token in [
        BASE64.encode(bytes),
        String::from_utf8_lossy(bytes).into_owned(),
    ] {
        for protected in [&SIGNED, &SEALED] {
            let query = query().cursor(token.as_str());
            let error = protected.check(&query).expect_err("forged");
            assert_eq!(error.status(), 400);
        }
    }
    let token = BASE64.encode([HEAD.as_slice(), bytes].concat());
    let page = PLAIN
        .page(&query().cursor(token))
        .now_or_never()
        .expect("memory does not wait");
    if let Err(error) = page {
        assert_eq!(error.status(), 400, "{error}");
    }
});

use perf_bulk::BulkRow;
use sqlx::Sqlite;

fn columns<R: BulkRow<Sqlite>>() -> &'static [&'static str] {
    R::COLUMNS
}

#[test]
fn columns_are_fields_renamed_skipped_and_raw() {
    #[derive(BulkRow)]
    struct Row<'a, T> {
        tailnum: &'a str,
        r#type: T,
        #[bulk(column = "seat count")]
        seats: Option<T>,
        #[bulk(skip)]
        _remarks: std::cell::Cell<u8>,
    }
    assert_eq!(columns::<Row<'_, i32>>(), ["tailnum", "type", "seat count"]);
    assert_eq!(
        columns::<&Row<'_, String>>(),
        ["tailnum", "type", "seat count"]
    );
}

mod umbrella {
    pub(crate) use perf_bulk as bulk;
}

#[test]
fn the_crate_may_be_found_elsewhere() {
    #[derive(BulkRow)]
    #[bulk(crate = crate::derive::umbrella::bulk)]
    struct Row {
        id: i64,
    }
    assert_eq!(columns::<Row>(), ["id"]);
}

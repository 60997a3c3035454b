//! Any text as a statement, in each dialect: a fingerprint, never a panic, and no string survives.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perf_core::Dialect;
use perf_profile::Statement;

/// The most that is kept of a text.
const MAX_TEXT: usize = 4_200;

fuzz_target!(|sql: &str| {
    for dialect in [
        Dialect::Postgres,
        Dialect::MySql,
        Dialect::MariaDb,
        Dialect::Sqlite,
    ] {
        let statement = Statement::parse(sql, dialect);
        assert!(statement.text().len() <= MAX_TEXT);
        // Outside quoted names, a quote would be the start of a string.
        let names = statement.text().contains(['"', '`', '[']);
        assert!(
            names || !statement.text().contains('\''),
            "{}",
            statement.text()
        );
        let commented = format!("/* 7 */ {sql}");
        assert_eq!(
            Statement::parse(&commented, dialect).fingerprint(),
            statement.fingerprint()
        );
    }
});

use perf_core::{Dialect, Transience};
use proptest::prelude::*;
use std::io::ErrorKind;

#[test]
fn codes_are_judged_as_their_servers_mean_them() {
    let transient = ["40001", "40P01", "08006", "53300", "57P01", "55P03"];
    let permanent = ["23505", "42601", "22001", "40002", "57014", "", "x"];
    assert!(
        transient
            .iter()
            .all(|code| Transience::of_sqlstate(code).is_transient())
    );
    assert!(
        !permanent
            .iter()
            .any(|code| Transience::of_sqlstate(code).is_transient())
    );
    assert!(
        [1205, 1213, 1040, 2006]
            .map(Transience::of_mysql_number)
            .iter()
            .all(|t| t.is_transient())
    );
    assert!(
        ![1062, 1064, 1146]
            .map(Transience::of_mysql_number)
            .iter()
            .any(|t| t.is_transient())
    );
    // Extended codes (BUSY_SNAPSHOT is 517) count as their primary ones.
    assert!(
        [5, 6, 517]
            .map(Transience::of_sqlite_code)
            .iter()
            .all(|t| t.is_transient())
    );
    assert!(
        ![19, 2067, 1]
            .map(Transience::of_sqlite_code)
            .iter()
            .any(|t| t.is_transient())
    );
    assert!(Transience::of_redis_code("LOADING").is_transient());
    assert!(!Transience::of_redis_code("WRONGTYPE").is_transient());
    assert!(Transience::of_io(ErrorKind::ConnectionReset).is_transient());
    assert!(!Transience::of_io(ErrorKind::PermissionDenied).is_transient());
}

proptest! {
    #[test]
    fn no_identifier_escapes_its_quotes(name in "[a-z`\"';\\-]{0,20}") {
        for (dialect, quote) in [(Dialect::Postgres, '"'), (Dialect::MySql, '`'), (Dialect::MariaDb, '`'), (Dialect::Sqlite, '"')] {
            let mut sql = String::new();
            dialect.push_identifier(&mut sql, &name);
            let inner = &sql[1..sql.len() - 1];
            prop_assert!(sql.starts_with(quote) && sql.ends_with(quote));
            let doubled = format!("{quote}{quote}");
            prop_assert_eq!(inner.replace(&doubled, ""), name.replace(quote, ""));
            prop_assert_eq!(inner.replace(&doubled, &quote.to_string()), name.clone());
        }
    }
}

#[test]
fn placeholders_are_the_drivers_own() {
    let mut sql = String::new();
    Dialect::Postgres.push_placeholder(&mut sql, 12);
    Dialect::Sqlite.push_placeholder(&mut sql, 12);
    assert_eq!(sql, "$12?");
}

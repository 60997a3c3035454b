use crate::support::run;
use perf_testkit::{MariaDbServer, PostgresServer};
use serde_json::Value;

/// Runs the patterns, which check their own answers.
fn measures(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(
        folder.path(),
        &["db", url, "--rows", "3000", "--format", "json"],
    );
    let json: Value = serde_json::from_str(ran.succeeds()).unwrap();
    let patterns = json["patterns"].as_array().unwrap();
    let names: Vec<_> = patterns
        .iter()
        .map(|pattern| pattern["pattern"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "insert a row",
            "read a deep page",
            "look a row up by its key"
        ]
    );
    assert!(
        patterns
            .iter()
            .all(|pattern| pattern["gain"].as_f64().unwrap() > 0.0)
    );
    for format in ["table", "markdown", "html"] {
        let ran = run(
            folder.path(),
            &["db", url, "--rows", "2000", "--format", format],
        );
        assert!(ran.succeeds().contains("by keyset"), "{format}");
    }
}

#[test]
fn sqlite_in_memory_and_in_a_file() {
    measures("sqlite::memory:");
    let folder = tempfile::tempdir().unwrap();
    measures(&format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("bench.sqlite").display()
    ));
}

#[test]
fn postgres() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    measures(&database.url());
}

#[test]
fn mariadb() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    measures(&database.url());
}

#[test]
fn what_cannot_work_is_one_line_without_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let unreachable = run(
        folder.path(),
        &["db", "postgres://me:hunter2@127.0.0.1:1/x"],
    );
    unreachable.fails(3, "cannot connect to the database");
    assert!(
        !unreachable.error.contains("hunter2"),
        "{}",
        unreachable.error
    );
    run(folder.path(), &["db", "oracle://x"]).fails(2, "begins with postgres:, mysql: or sqlite:");
    run(folder.path(), &["db", "sqlite::memory:", "--rows", "10"])
        .fails(2, "--rows must be at least");
    run(folder.path(), &["--users", "5"]).fails(2, "say what to run");
}

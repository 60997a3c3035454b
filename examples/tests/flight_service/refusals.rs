//! Bad input is one clear line and a failure.

use perfkit_examples::example;
use std::net::TcpListener;

#[track_caller]
fn refused(arguments: &[&str], complaint: &str) {
    let output = example("flight_service")
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("flight_service: "), "{stderr}");
    assert!(
        stderr.contains(complaint),
        "{complaint:?} is not in {stderr:?}"
    );
    assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn an_unknown_setting_is_named() {
    refused(&["--pool-siz", "4"], "'--pool-siz'");
    refused(&["--pool-size", "many"], "'many' for '--pool-size");
    refused(&["--pool-size", "0"], "max_size");
    refused(&["--rate-limit", "5/fortnight"], "the unit is none of");
    refused(&["--window", "soon"], "'soon' for '--window");
    refused(&["--cursor-secret", "short"], "32");
}

#[test]
fn a_database_that_cannot_be_reached_is_told_apart_from_a_wrong_url() {
    let secret = "hunter2";
    let url = format!("postgres://postgres:{secret}@{}/flights", nobody());
    refused(&["--database-url", &url], "cannot reach the database: ");
    refused(
        &["--database-url", "sqlite:///nowhere/flights.db"],
        "cannot reach the database: ",
    );
    refused(
        &["--database-url", "mysql://root@localhost/flights"],
        "must begin with postgres: or sqlite:",
    );
    refused(
        &["--database-url", "flights.db"],
        "must begin with postgres: or sqlite:",
    );
    let malformed = format!("postgres://postgres:{secret}@localhost:port/flights");
    refused(
        &["--database-url", &malformed],
        "the database's URL is malformed",
    );
    let output = example("flight_service")
        .args(["--listen", "127.0.0.1:0", "--database-url", &malformed])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains(secret));
}

#[test]
fn a_redis_url_that_is_none_is_refused() {
    refused(&["--redis-url", "http://localhost"], "cannot use Redis: ");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = example("flight_service")
        .args(["--listen", &address])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line = format!("flight_service: cannot listen on {address}: Address already in use");
    assert!(stderr.starts_with(&line), "{stderr}");
}

#[test]
fn a_missing_data_set_is_named() {
    refused(
        &["--data", "/nowhere"],
        "cannot read /nowhere/flights-2013-01.csv.gz: No such file",
    );
}

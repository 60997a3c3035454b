use crate::support::{run, serve};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A server of which every fourth answer at `/some-fail` is an error.
fn serve_some_failures() -> String {
    let calls = Arc::new(AtomicU64::new(0));
    let some_fail = move || {
        let number = calls.fetch_add(1, Relaxed);
        async move {
            if number % 4 == 3 {
                Err(StatusCode::BAD_GATEWAY)
            } else {
                Ok("ok")
            }
        }
    };
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/some-fail", get(some_fail));
    serve(router)
}

const SHORT: [&str; 4] = ["--duration", "200ms", "--warm-up", "0s"];

fn http(folder: &Path, url: &str, more: &[&str]) -> crate::support::Ran {
    run(folder, &[&["http", url], &SHORT[..], more].concat())
}

#[test]
fn a_rate_is_sent_and_reported_in_every_form() {
    let (url, folder) = (serve_some_failures(), tempfile::tempdir().unwrap());
    let ran = http(folder.path(), &url, &["--rate", "200", "--format", "json"]);
    let json: Value = serde_json::from_str(ran.succeeds()).unwrap();
    assert_eq!(json["runs"][0]["succeeded"], 40);
    assert_eq!(json["failed_assertions"], Value::Array(Vec::new()));
    let table = http(
        folder.path(),
        &url,
        &["--stage", "100@100ms", "--stage", "300@100ms"],
    );
    assert!(
        table.succeeds().contains("30 succeeded, 0 failed"),
        "{}",
        table.output
    );
    let markdown = http(
        folder.path(),
        &url,
        &["--rate", "50", "--format", "markdown"],
    );
    assert!(
        markdown.succeeds().contains("| run | requests/s | p50 |"),
        "{}",
        markdown.output
    );
    let page = folder.path().join("report.html");
    let html = [
        "--rate",
        "50",
        "--random",
        "--format",
        "html",
        "--output",
        page.to_str().unwrap(),
    ];
    http(folder.path(), &url, &html).succeeds();
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<svg").count(), 3, "{page}");
    assert!(
        !page.contains("src=") && !page.contains("href="),
        "the page needs something else"
    );
}

#[test]
fn users_take_turns_until_the_end() {
    let (url, folder) = (serve_some_failures(), tempfile::tempdir().unwrap());
    let ran = http(
        folder.path(),
        &url,
        &["--users", "3", "--format", "json", "--assert", "errors<=0%"],
    );
    let json: Value = serde_json::from_str(ran.succeeds()).unwrap();
    assert!(json["runs"][0]["succeeded"].as_u64().unwrap() >= 3);
}

#[test]
fn an_assertion_that_does_not_hold_is_exit_code_1() {
    let (url, folder) = (
        format!("{}/some-fail", serve_some_failures()),
        tempfile::tempdir().unwrap(),
    );
    let ran = http(
        folder.path(),
        &url,
        &[
            "--rate",
            "200",
            "--assert",
            "rate>1",
            "--assert",
            "errors<10%",
        ],
    );
    ran.fails(1, "errors<10% does not hold");
    assert!(ran.output.contains("10 x status 502"), "{}", ran.output);
}

#[test]
fn a_baseline_is_saved_compared_and_defended() {
    let (url, folder) = (serve_some_failures(), tempfile::tempdir().unwrap());
    let load = ["--rate", "100", "--duration", "50ms", "--format", "json"];
    let with = |more: &[&str]| {
        run(
            folder.path(),
            &[&["http", &url, "--warm-up", "0s"], &load[..], more].concat(),
        )
    };
    with(&["--save-baseline", "main"]).succeeds();
    let file = folder.path().join("baselines/main.json");
    let saved: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(
        saved["metrics"]["latency_p50_seconds"]["samples"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    // A baseline a thousand times as fast as any server: whatever is measured is a regression.
    let fast = std::fs::read_to_string(&file)
        .unwrap()
        .replace("0.0", "0.0000");
    std::fs::write(folder.path().join("baselines/fast.json"), fast).unwrap();
    with(&["--baseline", "fast", "--fail-on-regression"])
        .fails(1, "slower than the baseline \"fast\"");
    let without = with(&["--baseline", "fast"]);
    assert!(
        without.succeeds().contains("regressed"),
        "{}",
        without.output
    );
}

#[test]
fn a_stress_test_names_the_knee() {
    let (url, folder) = (serve_some_failures(), tempfile::tempdir().unwrap());
    let stress = [
        "http",
        &url,
        "--stress",
        "20",
        "--factor",
        "100",
        "--duration",
        "300ms",
        "--format",
        "json",
    ];
    let json: Value = serde_json::from_str(run(folder.path(), &stress).succeeds()).unwrap();
    assert_eq!(json["steps"][0]["rate"], 20.0);
    assert_eq!(
        json["steps"].as_array().unwrap().last().unwrap()["kept_up"],
        false
    );
}

#[test]
fn what_cannot_work_is_one_line_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let nobody = format!("http://{closed}/");
    http(folder.path(), &nobody, &[]).fails(3, "target unreachable: cannot connect");
    http(folder.path(), "https://127.0.0.1/", &[]).fails(2, "http://host");
    http(folder.path(), "/flights", &[]).fails(2, "http://host");
    http(folder.path(), &nobody, &["--rate", "0"]).fails(2, "invalid load");
    http(folder.path(), &nobody, &["--rate", "-5"])
        .code
        .filter(|code| *code == 2)
        .unwrap();
    http(folder.path(), &nobody, &["--baseline", "none"]).fails(4, "no baseline \"none\"");
    http(folder.path(), &nobody, &["--baseline", "../x"]).fails(4, "no baseline \"../x\"");
    let url = serve_some_failures();
    let unwritable = ["--rate", "10", "--output", "/nowhere/report"];
    http(folder.path(), &url, &unwritable).fails(5, "cannot write /nowhere/report");
}

#[test]
fn shells_complete_its_options() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(folder.path(), &["completions", shell]);
        assert!(script.succeeds().contains("baseline"), "{shell}");
    }
}

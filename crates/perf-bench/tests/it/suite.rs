use crate::support::{run, serve};
use axum::Router;
use axum::routing::get;

#[test]
fn the_usual_set_is_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(Router::new().route("/", get(async || "ok")));
    let short = ["--users", "200", "--duration", "300ms", "--url", &url];
    let set = |what: &str| run(folder.path(), &[&[what], &short[..]].concat());
    let all = set("--all");
    let all = all.succeeds();
    assert_eq!(all.matches(&format!("GET {url}/")).count(), 2, "{all}");
    assert_eq!(all.matches(" 0 failed in ").count(), 2, "{all}");
    assert!(all.contains("by keyset"), "{all}");
    for (what, loads) in [("--api", 1), ("--concurrent", 1), ("--database", 0)] {
        let part = set(what);
        let part = part.succeeds();
        assert_eq!(
            part.matches(" 0 failed in ").count(),
            loads,
            "{what}: {part}"
        );
        assert_eq!(part.contains("by keyset"), loads == 0, "{what}: {part}");
    }
}

#[test]
fn a_service_that_is_not_there_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    run(folder.path(), &["--api", "--url", &url]).fails(3, "target unreachable: cannot connect");
}

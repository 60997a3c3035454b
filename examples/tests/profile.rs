//! The profiler's examples, run as they were built together with this test.

use std::process::Command;

fn run(name: &str) -> String {
    let test = std::env::current_exe().expect("a running program has a path");
    let target = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/<profile>/deps");
    let output = Command::new(target.join("examples").join(name))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn lines_show_what_each_statement_takes() {
    let output = run("profile_lines");
    let line = output
        .lines()
        .find(|line| line.ends_with("let word = word.to_lowercase();"));
    assert!(
        line.is_some_and(|line| line.contains(" 12000 ")),
        "{output}"
    );
}

#[test]
fn the_n_plus_one_is_found_on_the_route_that_has_it() {
    let output = run("profile_n_plus_one");
    assert!(
        output.starts_with("N+1 queries in \"GET /one-by-one\" (1 request)\n"),
        "{output}"
    );
    assert!(
        output.contains("20 rows of SELECT tailnum FROM flights"),
        "{output}"
    );
    assert!(!output.contains("in \"GET /joined\""), "{output}");
}

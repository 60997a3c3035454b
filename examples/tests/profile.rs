//! The profiler's examples, run as they were built together with this test.

use perfkit_examples::printed_by;

#[test]
fn lines_show_what_each_statement_takes() {
    let output = printed_by("profile_lines");
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
    let output = printed_by("profile_n_plus_one");
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

#[test]
fn a_route_that_became_slower_is_named() {
    let output = printed_by("profile_regression");
    let verdict = output
        .lines()
        .find(|line| line.starts_with("latency_p50_seconds"));
    assert!(
        verdict.is_some_and(|line| line.ends_with("regressed")),
        "{output}"
    );
}

use perf_profile::{Profiler, span};

#[test]
fn the_table_of_functions_has_aligned_columns() {
    let profiler = Profiler::builder().build();
    drop(span!("reported"));
    let snapshot = profiler.snapshot();
    let table = snapshot.top_functions(usize::MAX).to_string();
    let lines: Vec<_> = table.lines().collect();
    let line = lines
        .iter()
        .find(|line| line.ends_with("report::reported"))
        .unwrap();
    // The column's width varies with its unit, but the name starts under its title.
    let title = lines[0].find("function").unwrap();
    let start: String = line.chars().skip(title).collect();
    assert!(start.starts_with("it::report::reported"), "{table}");
    assert_eq!(snapshot.top_functions(0).to_string().lines().count(), 1);
}

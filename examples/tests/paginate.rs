//! Each example about pages runs and comes to what it says.

use perfkit_examples::printed_by;

#[test]
fn a_total_is_counted_capped_or_unknown_and_nonsense_is_refused() {
    let printed = printed_by("paginate_offset_with_total");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 7, "{printed}");
    assert!(lines[0].starts_with("41 to 60 of 95, "), "{printed}");
    assert!(
        lines[1].starts_with("41 to 60 of at least 500, "),
        "{printed}"
    );
    assert!(lines[2].starts_with("41 to 60 of who knows"), "{printed}");
    for line in &lines[3..] {
        assert!(line.contains(": 400, "), "{printed}");
    }
}

#[test]
fn following_the_links_shows_everything_once() {
    let printed = printed_by("paginate_cursor_api");
    let walk = "5 pages, 250 articles, 250 of them different\n";
    assert!(printed.starts_with(walk), "{printed}");
    assert!(printed.contains("forged: 400, "), "{printed}");
    assert!(printed.contains("of another sort: 400, "), "{printed}");
}

#[test]
fn an_export_that_was_killed_becomes_the_same_bytes() {
    let printed = printed_by("paginate_export_resumed");
    assert!(printed.starts_with("9000 rows are sound, "), "{printed}");
    let whole = "20000 rows, the same bytes as unbroken\n";
    assert!(printed.ends_with(whole), "{printed}");
}

#[test]
fn three_levels_below_a_page_are_three_more_queries() {
    let printed = printed_by("paginate_relations");
    let figures = "10 carriers, 100 flights, 200 seats: 4 queries\n";
    assert!(printed.ends_with(figures), "{printed}");
}

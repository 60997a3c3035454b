//! Each example about caching runs and comes to what it says.

use perfkit_examples::printed_by;

#[test]
fn a_thousand_reads_are_one_query_and_a_change_is_seen() {
    let printed = printed_by("cache_aside");
    let expected = "1000 requests: 1 query\n\
                    product 7: 750: 1 query\n\
                    20 products: 1 query\n\
                    25 products: 1 query\n\
                    product 7: 1500: 1 query\n";
    assert!(printed.starts_with(expected), "{printed}");
}

#[test]
fn a_page_is_rendered_once_until_something_changes() {
    let printed = printed_by("cache_responses");
    let expected = "100 clients at once: 1 page rendered\n\
                    again: perf-cache; hit\n\
                    with its tag: 304 Not Modified and 0 bytes\n\
                    after an edit: article 7, rendered as number 2\n\
                    after a purge: article 7, rendered as number 3\n\
                    private: rendered as number 4, perf-cache; fwd=miss\n\
                    private: rendered as number 5, perf-cache; fwd=miss\n";
    assert_eq!(printed, expected);
}

#[test]
fn two_processes_share_a_load_and_an_invalidation() {
    let printed = printed_by("cache_two_tiers");
    let expected = "here: user 7, loaded by the first process\n\
                    there: user 7, loaded by the first process\n\
                    there, after an invalidation here: user 7, loaded by the second process\n\
                    here: user 7, loaded by the second process\n\
                    here, after an invalidation there: nothing\n";
    assert_eq!(printed, expected);
}

#[test]
fn no_view_is_lost_with_its_process() {
    let printed = printed_by("cache_write_behind");
    let expected = "1000 views are in the database, in far fewer writes\n\
                    after a crash: 1000 views are in the database\n";
    assert_eq!(printed, expected);
}

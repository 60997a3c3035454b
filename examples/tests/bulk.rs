//! Each example about bulk work runs and comes to what it says.

use perfkit_examples::printed_by;

#[test]
fn two_thousand_requests_are_few_calls() {
    let printed = printed_by("bulk_slow_api");
    assert!(
        printed.contains("article 666: no such article, after"),
        "{printed}"
    );
    let (_, calls) = printed
        .split_once("1999 requests were answered by ")
        .unwrap();
    let calls: u32 = calls.split(' ').next().unwrap().parse().unwrap();
    assert!(calls < 200, "{printed}");
    assert!(printed.contains("kept for later: article 666"), "{printed}");
}

#[test]
fn a_thousand_look_ups_are_two_queries() {
    let printed = printed_by("bulk_n_plus_one");
    assert!(printed.contains("one by one: "), "{printed}");
    assert!(printed.contains("seats, 1000 queries"), "{printed}");
    assert!(printed.ends_with("seats, 2 queries\n"), "{printed}");
}

#[test]
fn a_killed_worker_loses_no_booking_and_makes_none_twice() {
    let printed = printed_by("bulk_two_processes");
    assert!(printed.contains("60 bookings of 60 seats"), "{printed}");
}

#[test]
fn what_recurs_is_made_once_each_time() {
    let printed = printed_by("bulk_recurring");
    let (_, came) = printed.split_once("due in ").unwrap();
    let (_, came) = came.split_once('\n').unwrap();
    let (times, reports) = came.split_once(" times came, ").unwrap();
    assert_eq!(reports.split(' ').next(), Some(times), "{printed}");
}

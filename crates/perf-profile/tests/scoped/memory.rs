//! The profiler's own memory is bounded, whatever the service does.

use crate::support::{execute, installed};
use perf_profile::{Profiler, RequestScope};
use perf_testkit::allocations::{CountingAllocator, peak_bytes};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_thousand_statements_and_a_thousand_routes_take_at_most_sixteen_mebibytes() {
    let profiler = Profiler::builder().build();
    // Latencies over three decades, as a service under load has them.
    let latency = |step: u32| 1e-4 * 1.07_f64.powi(i32::try_from(step % 100).unwrap());
    let peak = peak_bytes(|| {
        installed(&profiler, || {
            for step in 0..100 {
                for number in 0..1_000_u32 {
                    let request = RequestScope::new(&format!("GET /route_{number}"));
                    request.in_scope(|| {
                        execute(&format!("SELECT c{number} FROM t"), latency(step + number))
                    });
                }
            }
        });
    });
    let snapshot = profiler.snapshot();
    assert_eq!(
        (snapshot.queries().len(), snapshot.requests().len()),
        (1_000, 1_000)
    );
    assert!(snapshot.queries().iter().all(|query| query.count == 100));
    assert!(peak <= 16 << 20, "{peak} bytes");
    println!("{peak} bytes");
}

#[test]
fn what_exceeds_the_limits_is_counted_together() {
    let profiler = Profiler::builder()
        .max_statements(10)
        .max_request_names(5)
        .build();
    installed(&profiler, || {
        for number in 0..100 {
            let request = RequestScope::new(&format!("GET /many/{number}"));
            request.in_scope(|| execute(&format!("SELECT many{number} FROM t"), 0.001));
        }
    });
    let snapshot = profiler.snapshot();
    let other = snapshot
        .queries()
        .iter()
        .find(|query| query.text == "<other>")
        .unwrap();
    assert_eq!((snapshot.queries().len(), other.count), (11, 90));
    let other = snapshot
        .requests()
        .iter()
        .find(|request| request.name == "<other>")
        .unwrap();
    assert_eq!(
        (snapshot.requests().len(), other.requests, other.queries),
        (6, 95, 95)
    );
}

#[test]
fn texts_without_end_do_not_pile_up() {
    let profiler = Profiler::builder().build();
    let peak = peak_bytes(|| {
        installed(&profiler, || {
            for number in 0..50_000 {
                execute(&format!("SELECT a FROM t WHERE id = {number}"), 0.001);
            }
        });
    });
    assert_eq!(profiler.snapshot().queries().len(), 1);
    assert!(peak <= 1 << 20, "{peak} bytes");
}

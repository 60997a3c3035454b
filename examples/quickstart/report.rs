//! The report on the terminal: one line a measurement, each with its figure.

use perfkit::core::{Clock, SystemClock};
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

/// Prints the head of one chapter.
pub(crate) fn chapter(title: &str, part: &str) {
    println!("\n{title}  [{part}]");
}

/// Prints one line: what was done, in what time, with what figures.
pub(crate) fn line(label: &str, elapsed: Duration, figures: impl Display) {
    println!("  {label:<44} {:>11}  {figures}", text(elapsed));
}

/// Prints a remark under the lines of a chapter.
pub(crate) fn note(remark: impl Display) {
    println!("  {remark}");
}

/// Prints how many times faster the second way was.
pub(crate) fn gain(before: Duration, after: Duration, proof: &str) {
    let times = before.as_secs_f64() / after.as_secs_f64().max(1e-9);
    println!("  → {times:.1}× faster; {proof}");
}

/// Runs `work` and says how long it took.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = SystemClock.now();
    let result = work.await;
    (result, SystemClock.now().since(start))
}

fn text(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros @ 10_000..10_000_000 => format!("{} ms", micros / 1_000),
        micros => format!("{} s", micros / 1_000_000),
    }
}

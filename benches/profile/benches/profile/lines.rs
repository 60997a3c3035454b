//! A loop whose statements are timed; the peer is the clock read that each mark needs at least.

use crate::cpu;
use criterion::Criterion;
use harness::Comparison;
use perf_profile::{Profiler, profile};
use std::hint::black_box;
use std::time::Duration;

/// Marks of each round: two statements and the loop's head.
const MARKS: u64 = 3;

#[profile(lines)]
fn marked(rounds: u64) -> u64 {
    let mut sum = 0;
    for number in 0..rounds {
        sum += black_box(number);
        sum ^= 1;
    }
    sum
}

fn plain(rounds: u64) -> u64 {
    let mut sum = 0;
    for number in 0..rounds {
        sum += black_box(number);
        sum ^= 1;
    }
    sum
}

fn one_clock_read(rounds: u64) -> u64 {
    let mut sum = 0;
    for number in 0..rounds {
        for _ in 0..MARKS {
            // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
            black_box(unsafe { std::arch::x86_64::_rdtsc() });
        }
        sum += black_box(number);
        sum ^= 1;
    }
    sum
}

fn time(iterations: u64, work: fn(u64) -> u64) -> Duration {
    let rounds = iterations.div_ceil(MARKS);
    let expected = plain(rounds);
    cpu::of(|| assert_eq!(work(rounds), expected))
}

/// One iteration is one statement.
pub(crate) fn marks(criterion: &mut Criterion) {
    let _profiler = Profiler::builder().build();
    let mut comparison = Comparison::new("profile/line_mark/loop");
    comparison.add_timed("perfkit", |iterations| time(iterations, marked));
    comparison.add_timed("one_clock_read", |iterations| {
        time(iterations, one_clock_read)
    });
    comparison.run(criterion);
}

//! A sync function of one addition, with and without a span around it.

use crate::{collector, cpu};
use criterion::Criterion;
use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::local::LocalSpan;
use fastrace::prelude::SpanContext;
use harness::Comparison;
use perf_profile::{Profiler, span};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Spans below one root; fastrace drops what exceeds a few thousand.
const PER_ROOT: u64 = 1_000;
/// How many of them before the collector is waited for.
const ROOTS_A_FLUSH: u64 = 1 + 200_000 / PER_ROOT;

#[inline(never)]
fn ours(sum: u64) -> u64 {
    let _span = span!("measured");
    black_box(sum) + 1
}

#[inline(never)]
#[hotpath::measure]
fn hotpath(sum: u64) -> u64 {
    black_box(sum) + 1
}

#[inline(never)]
fn fastrace(sum: u64) -> u64 {
    let _span = LocalSpan::enter_with_local_parent("measured");
    black_box(sum) + 1
}

#[inline(never)]
fn two_clock_reads(sum: u64) -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
    let read = || unsafe { std::arch::x86_64::_rdtsc() };
    let start = read();
    let sum = black_box(sum) + 1;
    black_box(read() - start);
    sum
}

#[inline(never)]
fn nothing(sum: u64) -> u64 {
    black_box(sum) + 1
}

fn repeat(iterations: u64, mut work: impl FnMut(u64) -> u64) {
    let sum = (0..iterations).fold(0, |sum, _| work(sum));
    assert_eq!(sum, iterations);
}

/// Counts the spans that fastrace has collected.
struct Count;

static COLLECTED: AtomicU64 = AtomicU64::new(0);

impl Reporter for Count {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        COLLECTED.fetch_add(spans.len() as u64, Relaxed);
    }
}

fn calls(profiler: &Profiler) -> u64 {
    let snapshot = profiler.snapshot();
    let measured = snapshot
        .functions()
        .iter()
        .find(|function| function.name == "measured");
    measured.map_or(0, |function| function.calls)
}

pub(crate) fn enabled(criterion: &mut Criterion) {
    let profiler = Profiler::builder().build();
    collector::start();
    fastrace::set_reporter(Count, Config::default());
    let mut comparison = Comparison::new("profile/sync_span_cpu/enabled");
    comparison.add_timed("perfkit", |iterations| {
        let before = calls(&profiler);
        let cost = cpu::of(|| repeat(iterations, ours));
        assert_eq!(calls(&profiler) - before, iterations);
        cost
    });
    comparison.add_timed("two_clock_reads", |iterations| {
        cpu::of(|| repeat(iterations, two_clock_reads))
    });
    comparison.add_timed("fastrace", |iterations| {
        let before = COLLECTED.load(Relaxed);
        let roots = iterations.div_ceil(PER_ROOT);
        let cost = cpu::of(|| {
            for root in 0..roots {
                let root_span = fastrace::Span::root("root", SpanContext::random());
                let _parent = root_span.set_local_parent();
                repeat(PER_ROOT.min(iterations - root * PER_ROOT), fastrace);
                // It drops what its collector has not taken when its buffers are full.
                if root % ROOTS_A_FLUSH == ROOTS_A_FLUSH - 1 {
                    fastrace::flush();
                }
            }
            fastrace::flush();
        });
        assert_eq!(COLLECTED.load(Relaxed) - before, iterations + roots);
        cost
    });
    comparison.add_timed("hotpath", |iterations| {
        cpu::with_collector(|| repeat(iterations, hotpath))
    });
    comparison.run(criterion);
}

/// The price of a span while the profiler is paused is the difference.
pub(crate) fn paused(criterion: &mut Criterion) {
    let profiler = Profiler::builder().build();
    profiler.pause();
    let mut comparison = Comparison::new("profile/sync_span_cpu/paused");
    comparison.add_timed("perfkit", |iterations| cpu::of(|| repeat(iterations, ours)));
    comparison.add_timed("without", |iterations| {
        cpu::of(|| repeat(iterations, nothing))
    });
    comparison.run(criterion);
    profiler.resume();
}

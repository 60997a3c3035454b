//! What counting adds to a pair of allocation and release.

use crate::cpu;
use criterion::Criterion;
use harness::Comparison;
use perf_profile::ProfilingAllocator;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::Duration;

static OURS: ProfilingAllocator<System> = ProfilingAllocator::new(System);
static HOTPATH: hotpath_meta::CountingAllocator = hotpath_meta::CountingAllocator::new();

fn pairs(allocator: &impl GlobalAlloc, iterations: u64) -> Duration {
    let layout = Layout::new::<[u64; 8]>();
    cpu::of(|| {
        for _ in 0..iterations {
            // SAFETY: the layout has a size, and the block goes back to where it came from.
            let block = unsafe { allocator.alloc(layout) };
            assert!(!black_box(block).is_null());
            // SAFETY: as above.
            unsafe { allocator.dealloc(block, layout) };
        }
    })
}

/// The time beyond that of the allocator inside.
fn added(allocator: &impl GlobalAlloc, iterations: u64) -> Duration {
    let plain = pairs(&System, iterations);
    let counted = pairs(allocator, iterations);
    counted.saturating_sub(plain).max(Duration::from_nanos(1))
}

pub(crate) fn counted(criterion: &mut Criterion) {
    let mut comparison = Comparison::new("profile/allocation/counted");
    comparison.add_timed("perfkit", |iterations| added(&OURS, iterations));
    comparison.add_timed("hotpath", |iterations| added(&HOTPATH, iterations));
    comparison.run(criterion);
}

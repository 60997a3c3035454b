use super::site::{LineSite, Lines, known};
use super::{AwaitStats, FunctionLines, LineStats};
use crate::memory::MemoryStats;
use crate::ticks;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Every function's lines, the one with the longest time first.
pub(crate) fn collect() -> Vec<FunctionLines> {
    let mut functions: Vec<_> = known().into_iter().map(function).collect();
    functions.sort_by(|a, b| b.time.cmp(&a.time).then(a.name.cmp(b.name)));
    functions
}

fn function(lines: &'static Lines) -> FunctionLines {
    let mut stats: Vec<_> = lines
        .sites
        .iter()
        .enumerate()
        .map(|(index, site)| line(lines, index, site))
        .collect();
    let time: Duration = stats.iter().map(|line| line.time).sum();
    for line in &mut stats {
        line.share = line.time.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
    }
    stats.sort_by_key(|line| (line.line, line.column));
    FunctionLines {
        name: lines.callsite.name(),
        module: lines.callsite.module(),
        file: lines.callsite.file(),
        time,
        lines: stats,
    }
}

/// One statement, summed over the lanes.
fn line(lines: &'static Lines, index: usize, site: &LineSite) -> LineStats {
    let (mut hits, mut busy, mut idle) = (0, 0, 0);
    let mut memory = MemoryStats::default();
    for table in lines.tables.lock().iter() {
        let counts = &table.lines()[index];
        hits += counts.hits.load(Relaxed);
        busy += counts.busy.load(Relaxed);
        idle += counts.idle.load(Relaxed);
        memory.merge(&counts.memory.stats());
    }
    let awaits = &lines.awaits()[index];
    LineStats {
        line: site.line,
        column: site.column,
        text: site.text,
        hits,
        time: Duration::from_nanos(ticks::nanos(busy)),
        share: 0.0,
        idle: Duration::from_nanos(ticks::nanos(idle)),
        awaits: AwaitStats {
            latency: awaits.latency.summary(),
            cancelled: awaits.cancelled(),
        },
        memory,
    }
}

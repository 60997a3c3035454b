//! The report: as text for a terminal, as Markdown, and as a page.

#[cfg(feature = "html")]
mod charts;
mod folded;
#[cfg(feature = "html")]
mod html;
#[cfg(feature = "html")]
mod load;
mod markdown;
mod table;

use crate::functions::FunctionStats;
use crate::lines::FunctionLines;
use crate::queries::{QueryStats, RequestStats};
use crate::snapshot::Snapshot;
use std::fmt;
use std::time::Duration;
use table::Table;

pub(crate) use folded::folded;
#[cfg(feature = "html")]
pub(crate) use html::html;
#[cfg(feature = "html")]
pub(crate) use load::{load, stress};
pub(crate) use markdown::markdown;

/// Rows of each table.
const ROWS: usize = 20;

pub(crate) fn write(snapshot: &Snapshot, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for finding in snapshot.findings() {
        writeln!(f, "{finding}\n")?;
    }
    for advice in snapshot.explanations().iter().flat_map(|slow| &slow.advice) {
        writeln!(f, "{advice}")?;
    }
    for blocked in snapshot.blocked() {
        writeln!(f, "{blocked}\n")?;
    }
    let first = |length: usize| length.min(ROWS);
    let (all, requests, queries) = (
        snapshot.functions(),
        snapshot.requests(),
        snapshot.queries(),
    );
    section(f, "Functions", &functions(&all[..first(all.len())]))?;
    for function in &snapshot.lines()[..first(snapshot.lines().len())] {
        let title = format!(
            "Lines of {}::{} ({})",
            function.module, function.name, function.file
        );
        section(f, &title, &lines(function))?;
    }
    section(
        f,
        "Requests",
        &self::requests(&requests[..first(requests.len())]),
    )?;
    section(
        f,
        "Queries",
        &self::queries(&queries[..first(queries.len())]),
    )
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, table: &Table) -> fmt::Result {
    if table.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}\n{table}")
}

pub(crate) fn functions(functions: &[FunctionStats]) -> Table {
    let header = [
        "calls",
        "cumulative",
        "own",
        "idle",
        "p50",
        "p99",
        "bytes",
        "function",
    ];
    let busy: Duration = functions.iter().map(|function| function.own).sum();
    let rows = functions.iter().map(|function| {
        vec![
            function.calls.to_string(),
            format!(
                "{} {:>3.0} %",
                short(function.cumulative),
                share(function.cumulative, busy)
            ),
            short(function.own),
            short(function.idle),
            short(function.latency.p50),
            short(function.latency.p99),
            bytes(function.memory.bytes),
            format!("{}::{}", function.module, function.name),
        ]
    });
    Table::new(&header, rows.collect())
}

/// Every statement, run or not.
fn lines(function: &FunctionLines) -> Table {
    let header = [
        "line", "hits", "time", "per hit", "share", "idle", "bytes", "contents",
    ];
    let rows = function.lines.iter().map(|line| {
        let per_hit = line.time.div_f64(line.hits.max(1) as f64);
        vec![
            line.line.to_string(),
            line.hits.to_string(),
            short(line.time),
            short(per_hit),
            format!("{:.1} %", 100.0 * line.share),
            short(line.idle),
            bytes(line.memory.bytes),
            line.text.to_owned(),
        ]
    });
    Table::new(&header, rows.collect())
}

fn requests(requests: &[RequestStats]) -> Table {
    let header = [
        "requests", "queries", "most", "p50", "p99", "bytes", "request",
    ];
    let rows = requests.iter().map(|request| {
        vec![
            request.requests.to_string(),
            request.queries.to_string(),
            request.max_queries.to_string(),
            short(request.latency.p50),
            short(request.latency.p99),
            bytes(request.memory.bytes),
            request.name.clone(),
        ]
    });
    Table::new(&header, rows.collect())
}

fn queries(queries: &[QueryStats]) -> Table {
    let header = ["count", "rows", "total", "p50", "p99", "query"];
    let rows = queries.iter().map(|query| {
        vec![
            query.count.to_string(),
            (query.rows_returned + query.rows_affected).to_string(),
            short(query.latency.sum),
            short(query.latency.p50),
            short(query.latency.p99),
            query.text.clone(),
        ]
    });
    Table::new(&header, rows.collect())
}

fn short(duration: Duration) -> String {
    if duration.is_zero() {
        "-".into()
    } else {
        format!("{duration:.1?}")
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0 => "-".into(),
        1..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// The percentage that `part` is of `whole`; cumulative times of nested functions exceed 100 together.
fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    100.0 * part.as_secs_f64() / whole.as_secs_f64()
}

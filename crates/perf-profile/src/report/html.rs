//! The report as one page that needs nothing else: styles and pictures are in it.

use super::charts::{self, Curve, Scale};
use super::markdown::{Block, Section, sections};
use super::table::Table;
use crate::queries::RequestSlice;
use crate::snapshot::Snapshot;
use std::fmt::{self, Write};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
td:last-child,th:last-child{text-align:left;font-family:ui-monospace,monospace}";
/// Names of requests that have a picture.
const PICTURES: usize = 6;

struct Html<'a>(&'a Snapshot);

pub(crate) fn html(snapshot: &Snapshot) -> impl fmt::Display + '_ {
    Html(snapshot)
}

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Profile</title>"
        )?;
        write!(f, "<style>{STYLE}</style><h1>Profile</h1>")?;
        for (number, section) in sections(self.0).iter().enumerate() {
            write_section(section, f)?;
            if number == 0 {
                write_pictures(self.0, f)?;
            }
        }
        writeln!(f, "</html>")
    }
}

fn write_section(section: &Section, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "<h2>{}</h2>", section.title)?;
    section.blocks.iter().try_for_each(|block| match block {
        Block::Text(text) => write!(f, "<p>{}</p>", Escaped(text)),
        Block::Items(items) => {
            f.write_str("<ul>")?;
            let mut items = items.iter();
            items.try_for_each(|item| write!(f, "<li>{}</li>", Escaped(item)))?;
            f.write_str("</ul>")
        }
        Block::Table { title, table } => {
            write!(f, "<h3>{}</h3>", Escaped(title))?;
            write_table(table, f)
        }
    })
}

fn write_table(table: &Table, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("<table>")?;
    for (number, line) in table.lines().enumerate() {
        let cell = if number == 0 { "th" } else { "td" };
        f.write_str("<tr>")?;
        for text in line {
            write!(f, "<{cell}>{}</{cell}>", Escaped(text))?;
        }
        f.write_str("</tr>")?;
    }
    f.write_str("</table>")
}

fn write_pictures(snapshot: &Snapshot, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&over_time(snapshot.timeline()))?;
    for request in snapshot.requests().iter().take(PICTURES) {
        write!(f, "<h3>Latency of {}</h3>", Escaped(&request.name))?;
        // A picture that cannot be drawn is left out; its figures stand in the table.
        f.write_str(&charts::distribution(&request.distribution).unwrap_or_default())?;
    }
    let flames = flame_graph(snapshot).unwrap_or_default();
    if !flames.is_empty() {
        write!(f, "<h3>Own time of call paths</h3>{flames}")?;
    }
    Ok(())
}

/// Requests and their latency since the profiler was made.
fn over_time(timeline: &[RequestSlice]) -> String {
    let points = |height: fn(&RequestSlice) -> f64| {
        let point = |slice: &RequestSlice| {
            (
                (slice.start + slice.length / 2).as_secs_f64(),
                height(slice),
            )
        };
        timeline.iter().map(point).collect()
    };
    let latency = [
        Curve {
            name: "p50",
            points: points(|slice| 1e3 * slice.latency.p50.as_secs_f64()),
        },
        Curve {
            name: "p99",
            points: points(|slice| 1e3 * slice.latency.p99.as_secs_f64()),
        },
    ];
    let rate = [
        Curve {
            name: "requests/s",
            points: points(|slice| slice.requests as f64 / slice.length.as_secs_f64()),
        },
        Curve {
            name: "queries/s",
            points: points(|slice| slice.queries as f64 / slice.length.as_secs_f64()),
        },
    ];
    let across = "seconds since the start";
    charts::curves(
        "Latency over time",
        (across, "milliseconds"),
        &latency,
        Scale::Logarithmic,
    ) + &charts::curves("Load over time", (across, "a second"), &rate, Scale::Linear)
}

fn flame_graph(snapshot: &Snapshot) -> Option<String> {
    let folded = snapshot.folded().to_string();
    let mut options = inferno::flamegraph::Options::default();
    options.title = String::new();
    options.count_name = "microseconds".into();
    options.no_javascript = true;
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, folded.lines(), &mut svg).ok()?;
    let mut svg = String::from_utf8(svg).ok()?;
    // What is left of the script that was not asked for are its variables.
    let end = "</script>";
    if let (Some(from), Some(to)) = (svg.find("<script"), svg.find(end)) {
        svg.replace_range(from..to + end.len(), "");
    }
    // Within a page the declarations of a document of its own have no place.
    let start = svg.find("<svg")?;
    Some(svg[start..].to_owned())
}

/// Text that cannot be mistaken for markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            other => f.write_char(other),
        })
    }
}

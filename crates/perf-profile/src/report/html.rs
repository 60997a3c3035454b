//! The report as one page that needs nothing else: styles and pictures are in it.

use super::markdown::{Block, Section, sections};
use super::table::Table;
use crate::queries::RequestStats;
use crate::snapshot::Snapshot;
use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, Rectangle, SVGBackend, WHITE, full_palette::TEAL,
};
use std::fmt::{self, Write};
use std::time::Duration;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
td:last-child,th:last-child{text-align:left;font-family:ui-monospace,monospace}";
/// Names of requests that have a picture.
const PICTURES: usize = 6;
/// Columns of a latency picture.
const COLUMNS: u32 = 40;

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
    for request in snapshot.requests().iter().take(PICTURES) {
        write!(f, "<h3>Latency of {}</h3>", Escaped(&request.name))?;
        // A picture that cannot be drawn is left out; its figures stand in the table.
        f.write_str(&latency(request).unwrap_or_default())?;
    }
    let flames = flame_graph(snapshot).unwrap_or_default();
    if !flames.is_empty() {
        write!(f, "<h3>Own time of call paths</h3>{flames}")?;
    }
    Ok(())
}

/// How many requests took how long, on a logarithmic axis.
fn latency(request: &RequestStats) -> Option<String> {
    let distribution = &request.distribution;
    let octaves = |duration: Duration| duration.as_secs_f64().max(1e-9).log10();
    let (first, last) = (distribution.first()?, distribution.last()?);
    let (low, high) = (octaves(first.0) - 0.1, octaves(last.0) + 0.1);
    let width = (high - low) / f64::from(COLUMNS);
    let mut columns = vec![0_u64; COLUMNS as usize];
    for (duration, count) in distribution {
        let column = (0..COLUMNS)
            .rev()
            .find(|&column| low + f64::from(column) * width <= octaves(*duration));
        columns[column.unwrap_or(0) as usize] += count;
    }
    let most = columns.iter().max().copied().unwrap_or(0) as f64;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 220)).into_drawing_area();
        area.fill(&WHITE).ok()?;
        let mut builder = ChartBuilder::on(&area);
        builder
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(50);
        let mut chart = builder
            .build_cartesian_2d(low..high, 0.0..most * 1.05)
            .ok()?;
        let label = |octave: &f64| format!("{:.0?}", Duration::from_secs_f64(10_f64.powf(*octave)));
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_label_formatter(&label)
            .draw()
            .ok()?;
        let bars = (0_u32..).zip(&columns).map(|(column, &count)| {
            let left = low + f64::from(column) * width;
            Rectangle::new(
                [(left, 0.0), (left + width * 0.9, count as f64)],
                TEAL.filled(),
            )
        });
        chart.draw_series(bars).ok()?;
        area.present().ok()?;
    }
    Some(svg)
}

fn flame_graph(snapshot: &Snapshot) -> Option<String> {
    let folded = snapshot.folded().to_string();
    let mut options = inferno::flamegraph::Options::default();
    options.title = String::new();
    options.count_name = "microseconds".into();
    options.no_javascript = true;
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, folded.lines(), &mut svg).ok()?;
    let svg = String::from_utf8(svg).ok()?;
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

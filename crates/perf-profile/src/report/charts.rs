//! Pictures as SVG that stands inside a page.

use plotters::chart::ChartBuilder;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::drawing::IntoDrawingArea;
use plotters::element::Rectangle;
use plotters::prelude::{IntoLogRange, LineSeries, Ranged, SVGBackend, WHITE};
use plotters::style::{Color, RGBColor};
use std::time::Duration;

/// Told apart with any kind of colour sight (Okabe and Ito).
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
];
const SIZE: (u32, u32) = (760, 300);
/// Columns of a distribution.
const COLUMNS: u32 = 40;

/// A named curve.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// How heights are drawn.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    Linear,
    Logarithmic,
}

/// Draws at most three curves over one axis; `axes` are named across and up. Empty when there is nothing to
/// draw.
pub(super) fn curves(title: &str, axes: (&str, &str), curves: &[Curve], scale: Scale) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let far = points().map(|point| point.0).fold(0.0, f64::max);
    let high = points().map(|point| point.1).fold(0.0, f64::max);
    let positive = points().map(|point| point.1).filter(|height| *height > 0.0);
    let low = positive.fold(high, f64::min);
    let is_line = curves.iter().any(|curve| curve.points.len() > 1);
    if !is_line || far <= 0.0 || high <= 0.0 {
        return String::new();
    }
    let svg = match scale {
        Scale::Linear => draw(axes, curves, far, 0.0..high * 1.1),
        Scale::Logarithmic => draw(axes, curves, far, (low * 0.8..high * 1.2).log_scale()),
    };
    let names = curves
        .iter()
        .zip(COLOURS)
        .map(|(curve, RGBColor(red, green, blue))| {
            format!(
                "<span style=\"color:rgb({red},{green},{blue})\">{}</span>",
                curve.name
            )
        });
    let names: Vec<_> = names.collect();
    svg.map_or_else(String::new, |svg| {
        let names = names.join(" · ");
        format!("<figure><figcaption>{title}: {names}</figcaption>{svg}</figure>")
    })
}

fn draw<Y>(axes: (&str, &str), curves: &[Curve], far: f64, heights: Y) -> Option<String>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).ok()?;
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..far, heights)
            .ok()?;
        chart
            .configure_mesh()
            .x_desc(axes.0)
            .y_desc(axes.1)
            .draw()
            .ok()?;
        for (curve, colour) in curves.iter().zip(COLOURS) {
            // What did not happen has no place on a logarithmic axis.
            let points = curve
                .points
                .iter()
                .copied()
                .filter(|(_, height)| *height > 0.0);
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .ok()?;
        }
        area.present().ok()?;
    }
    Some(svg)
}

/// How many took how long, on a logarithmic axis; shortest first.
pub(super) fn distribution(distribution: &[(Duration, u64)]) -> Option<String> {
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
                COLOURS[0].filled(),
            )
        });
        chart.draw_series(bars).ok()?;
        area.present().ok()?;
    }
    Some(svg)
}

//! Curves as SVG, to stand inside a page.

use plotters::chart::ChartBuilder;
use plotters::drawing::IntoDrawingArea;
use plotters::prelude::{IntoLogRange, LineSeries, SVGBackend, WHITE};
use plotters::style::{Color, RGBColor};

/// A named curve.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// Told apart with any kind of colour sight (Okabe and Ito).
const COLOURS: [RGBColor; 3] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
];
const SIZE: (u32, u32) = (760, 300);

/// Draws curves over one axis; `log` for a logarithmic height. Empty when there is nothing to draw.
pub(super) fn curves(title: &str, across: &str, up: &str, curves: &[Curve], log: bool) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let far = points().map(|point| point.0).fold(0.0, f64::max);
    let high = points().map(|point| point.1).fold(0.0, f64::max);
    let low = points()
        .map(|point| point.1)
        .filter(|height| *height > 0.0)
        .fold(high, f64::min);
    if far <= 0.0 || high <= 0.0 {
        return String::new();
    }
    let mut svg = String::new();
    let drawn = {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root);
        chart
            .caption(title, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(70);
        let filled = root.fill(&WHITE).is_ok();
        // The two scales are types of their own.
        macro_rules! draw {
            ($heights:expr) => {
                chart
                    .build_cartesian_2d(0.0..far, $heights)
                    .is_ok_and(|mut chart| {
                        let mesh = chart
                            .configure_mesh()
                            .x_desc(across)
                            .y_desc(up)
                            .draw()
                            .is_ok();
                        mesh && curves.iter().zip(COLOURS).all(|(curve, colour)| {
                            let points = curve.points.iter().copied();
                            chart
                                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                                .is_ok()
                        })
                    })
            };
        }
        filled
            && if log {
                draw!((low * 0.8..high * 1.2).log_scale())
            } else {
                draw!(0.0..high * 1.1)
            }
    };
    let names: Vec<_> = curves
        .iter()
        .zip(COLOURS)
        .map(|(curve, RGBColor(red, green, blue))| {
            format!(
                "<span style=\"color:rgb({red},{green},{blue})\">{}</span>",
                curve.name
            )
        })
        .collect();
    if drawn {
        format!(
            "<figure>{svg}<figcaption>{}</figcaption></figure>",
            names.join(" · ")
        )
    } else {
        String::new()
    }
}

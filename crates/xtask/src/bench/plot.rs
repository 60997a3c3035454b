//! Ratios as a picture: a bar a line, to the left of the middle where we win.

use super::line::Line;
use std::fmt::Write as _;

const LABELS: f64 = 420.0;
const BARS: f64 = 360.0;
const ROW: f64 = 20.0;
const MARGIN: f64 = 24.0;
/// The bars' scale is logarithmic and ends at this factor on either side.
const UTMOST: f64 = 100.0;

/// An SVG that reads on light and dark pages and names each bar to screen readers.
pub(super) fn ratios(lines: &[Line]) -> String {
    let height = MARGIN * 2.0 + ROW * f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    let width = LABELS + BARS + 70.0;
    let middle = LABELS + BARS / 2.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
         <title>Ratios to the peers, below 1 is better</title>\n\
         <style>text{{fill:#333}}.win{{fill:#1a7f4b}}.loss{{fill:#b3541e}}line{{stroke:#888}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.win{{fill:#4cc38a}}.loss{{fill:#f0883e}}}}</style>\n"
    );
    for (factor, label) in [
        (0.01, "1/100"),
        (0.1, "1/10"),
        (1.0, "1"),
        (10.0, "10"),
        (100.0, "100"),
    ] {
        let x = middle + offset(factor);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.0}\" y=\"14\" text-anchor=\"middle\">{label}</text>\
             <line x1=\"{x:.0}\" x2=\"{x:.0}\" y1=\"{MARGIN}\" y2=\"{:.0}\" stroke-width=\"{}\"/>",
            height - MARGIN,
            if label == "1" { 1.0 } else { 0.25 },
        );
    }
    let mut top = MARGIN;
    for line in lines {
        let end = offset(line.ratio);
        let class = if line.ratio <= 1.0 { "win" } else { "loss" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"12\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{:.3}</text>",
            LABELS - 8.0,
            top + 14.0,
            line.id,
            middle + end.min(0.0),
            top + 4.0,
            end.abs().max(0.5),
            LABELS + BARS + 8.0,
            top + 14.0,
            line.ratio,
        );
        top += ROW;
    }
    svg.push_str("</svg>\n");
    svg
}

/// How far from the middle a ratio ends.
fn offset(ratio: f64) -> f64 {
    let share = ratio.clamp(1.0 / UTMOST, UTMOST).ln() / UTMOST.ln();
    share * BARS / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(ratio: f64) -> String {
        ratios(&[Line {
            id: "core/a/b/peer".into(),
            ours: ratio,
            peer: 1.0,
            ratio,
            unit: "ns".into(),
        }])
    }

    #[test]
    fn wins_are_left_of_the_middle_and_losses_right() {
        let win = drawn(0.1);
        assert!(win.contains("class=\"win\" x=\"510.0\""), "{win}");
        let loss = drawn(10.0);
        assert!(loss.contains("class=\"loss\" x=\"600.0\""), "{loss}");
    }

    #[test]
    fn what_is_off_the_scale_ends_at_its_edge() {
        for ratio in [0.0, 1e-9, 1e9] {
            let end = offset(ratio).abs();
            assert!((end - BARS / 2.0).abs() < 1e-9, "{ratio} ends at {end}");
        }
    }
}

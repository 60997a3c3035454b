use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// One comparison with one peer. The fields are the project's public report format.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Line {
    /// `crate/operation/workload/peer`.
    pub(super) id: String,
    pub(super) ours: f64,
    pub(super) peer: f64,
    /// Below 1 is better.
    pub(super) ratio: f64,
    pub(super) unit: String,
}

/// One JSON object a line.
pub(super) fn json(lines: &[Line]) -> Result<String> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

/// Columns for people.
pub(super) fn table(lines: &[Line]) -> String {
    let width = lines.iter().map(|line| line.id.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$} {:>12} {:>12} {:>7}  unit\n",
        "id", "ours", "peer", "ratio"
    );
    for Line {
        id,
        ours,
        peer,
        ratio,
        unit,
    } in lines
    {
        let (ours, peer) = (figure(*ours), figure(*peer));
        let _ = writeln!(
            text,
            "{id:width$} {ours:>12} {peer:>12} {ratio:>7.3}  {unit}"
        );
    }
    text
}

/// A number with about four digits that count.
pub(super) fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        0.0..10.0 => 3,
        10.0..100.0 => 2,
        100.0..1_000.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            id: "core/histogram_record/uniform/hdrhistogram".into(),
            ours: 4.5,
            peer: 1_500.25,
            ratio: 0.003,
            unit: "ns".into(),
        }
    }

    #[test]
    fn json_is_one_object_a_line() {
        assert_eq!(
            json(&[line(), line()]).expect("finite"),
            "{\"id\":\"core/histogram_record/uniform/hdrhistogram\",\"ours\":4.5,\
             \"peer\":1500.25,\"ratio\":0.003,\"unit\":\"ns\"}\n"
                .repeat(2)
        );
    }

    #[test]
    fn a_table_has_a_row_a_line() {
        assert_eq!(
            table(&[line()]),
            "id                                                 ours         peer   ratio  unit\n\
             core/histogram_record/uniform/hdrhistogram        4.500         1500   0.003  ns\n"
        );
    }
}

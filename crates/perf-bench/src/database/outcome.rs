use crate::output::Outcome;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// One pattern, measured both ways: how long one unit of its work took.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) name: &'static str,
    pub(super) naive_name: &'static str,
    pub(super) good_name: &'static str,
    pub(super) naive: Duration,
    pub(super) good: Duration,
}

pub(super) struct DatabaseOutcome {
    pub(super) rows: u32,
    pub(super) patterns: Vec<Pattern>,
}

impl Pattern {
    fn gain(&self) -> f64 {
        self.naive.as_secs_f64() / self.good.as_secs_f64()
    }
}

impl fmt::Display for DatabaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows", self.rows)?;
        for pattern in &self.patterns {
            let Pattern {
                name,
                naive_name,
                good_name,
                naive,
                good,
            } = pattern;
            writeln!(f, "{name}")?;
            writeln!(f, "  {naive_name:<28}{:>12}", format!("{naive:.1?}"))?;
            writeln!(
                f,
                "  {good_name:<28}{:>12}{:>10.1}x",
                format!("{good:.1?}"),
                pattern.gain()
            )?;
        }
        Ok(())
    }
}

impl Outcome for DatabaseOutcome {
    fn json(&self) -> Value {
        let patterns = self.patterns.iter().map(|pattern| {
            json!({
                "pattern": pattern.name,
                "naive": pattern.naive_name,
                "naive_seconds": pattern.naive.as_secs_f64(),
                "good": pattern.good_name,
                "good_seconds": pattern.good.as_secs_f64(),
                "gain": pattern.gain(),
            })
        });
        json!({"rows": self.rows, "patterns": patterns.collect::<Vec<_>>()})
    }

    fn markdown(&self) -> String {
        let mut lines = vec![
            "| pattern | naive | good | gain |".to_owned(),
            "|---|---|---|---|".to_owned(),
        ];
        lines.extend(self.patterns.iter().map(|pattern| {
            let Pattern {
                name,
                naive_name,
                good_name,
                naive,
                good,
            } = pattern;
            let gain = pattern.gain();
            format!(
                "| {name} | {naive:.1?} ({naive_name}) | {good:.1?} ({good_name}) | × {gain:.1} |"
            )
        }));
        lines.join("\n")
    }

    fn html(&self) -> String {
        let rows = self.patterns.iter().map(|pattern| {
            let Pattern { name, naive_name, good_name, naive, good } = pattern;
            let gain = pattern.gain();
            format!(
                "<tr><td>{name}</td><td>{naive:.1?} ({naive_name})</td><td>{good:.1?} ({good_name})</td>\
                <td>× {gain:.1}</td></tr>"
            )
        });
        format!(
            "<h1>{} rows</h1><table><thead><tr><th scope=\"col\">pattern</th><th scope=\"col\">naive</th>\
            <th scope=\"col\">good</th><th scope=\"col\">gain</th></tr></thead><tbody>{}</tbody></table>",
            self.rows,
            rows.collect::<String>()
        )
    }
}

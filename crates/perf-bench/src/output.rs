//! One outcome, four ways to write it.

mod html;
mod json;
mod markdown;

use crate::cli::{Format, OutputArguments};
use crate::failure::Failure;
use perf_profile::{Comparison, LoadReport, StressReport};
use std::fmt;
use std::io::Write as _;

/// What can be written in every [`Format`].
pub(crate) trait Outcome: fmt::Display {
    fn json(&self) -> serde_json::Value;
    fn markdown(&self) -> String;
    /// The body of a page.
    fn html(&self) -> String;
}

/// What became of one or more runs of a load test.
pub(crate) struct LoadOutcome<'a> {
    pub(crate) target: String,
    pub(crate) reports: &'a [LoadReport],
    pub(crate) comparison: Option<&'a Comparison>,
    pub(crate) failed_assertions: Vec<String>,
}

/// Writes `outcome` where it was asked for.
pub(crate) fn write(arguments: &OutputArguments, outcome: &impl Outcome) -> Result<(), Failure> {
    let text = match arguments.format {
        Format::Table => outcome.to_string(),
        Format::Json => outcome.json().to_string(),
        Format::Markdown => outcome.markdown(),
        Format::Html => html::page(&outcome.html()),
    };
    let (path, written) = match &arguments.output {
        Some(path) => (path.clone(), std::fs::write(path, text + "\n")),
        None => (
            "standard output".into(),
            writeln!(std::io::stdout(), "{text}"),
        ),
    };
    written.map_err(|source| Failure::Output { path, source })
}

impl fmt::Display for LoadOutcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.target)?;
        for report in self.reports {
            write!(f, "{report}")?;
        }
        if let Some(comparison) = self.comparison {
            write!(f, "\nagainst the baseline\n{comparison}")?;
        }
        for assertion in &self.failed_assertions {
            writeln!(f, "does not hold: {assertion}")?;
        }
        Ok(())
    }
}

impl Outcome for LoadOutcome<'_> {
    fn json(&self) -> serde_json::Value {
        json::load(self)
    }

    fn markdown(&self) -> String {
        markdown::load(self)
    }

    fn html(&self) -> String {
        html::load(self)
    }
}

impl Outcome for StressReport {
    fn json(&self) -> serde_json::Value {
        json::stress(self)
    }

    fn markdown(&self) -> String {
        markdown::stress(self)
    }

    fn html(&self) -> String {
        html::stress(self)
    }
}

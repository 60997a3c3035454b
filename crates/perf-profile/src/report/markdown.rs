//! The report for people who decide: what is, what is wrong, what to do, how, and what it brings.

use super::table::Table;
use super::{ROWS, functions, lines, queries, requests};
use crate::finding::Finding;
use crate::snapshot::Snapshot;
use std::fmt;

/// One of the report's five parts.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Text(String),
    Table { title: String, table: Table },
    Items(Vec<String>),
}

/// The five parts in their order.
pub(super) fn sections(snapshot: &Snapshot) -> Vec<Section> {
    let findings = snapshot.findings();
    let of_each = |title, none: &str, item: fn(&Finding) -> String| {
        let items: Vec<_> = findings.iter().map(item).collect();
        let block = if items.is_empty() {
            Block::Text(none.into())
        } else {
            Block::Items(items)
        };
        Section {
            title,
            blocks: vec![block],
        }
    };
    let mut issues = of_each("Identified Issues", "None were found.", issue);
    let blocked: Vec<_> = snapshot
        .blocked()
        .iter()
        .map(|blocked| format!("A worker was {blocked}."))
        .collect();
    if !blocked.is_empty() {
        issues.blocks.push(Block::Items(blocked));
    }
    vec![
        Section {
            title: "Current Metrics",
            blocks: metrics(snapshot),
        },
        issues,
        of_each("Recommendations", "Nothing to change.", |finding| {
            format!("{}: use {}", finding.subject(), finding.cure().item)
        }),
        of_each("Implementation", "Nothing to change.", |finding| {
            let cure = finding.cure();
            let place = finding.function.map(|function| format!(" in {function}"));
            format!(
                "{}: {}{}",
                cure.item,
                cure.effect,
                place.unwrap_or_default()
            )
        }),
        of_each("Expected Impact", "None.", |finding| {
            format!(
                "{}: up to {:.1?} of {:.1?} of query time",
                finding.subject(),
                finding.avoidable_time(),
                finding.time
            )
        }),
    ]
}

fn issue(finding: &Finding) -> String {
    let cause = finding.cause.as_ref();
    let cause = cause.map(|cause| format!(", after {} rows of `{}`", cause.rows, cause.statement));
    format!(
        "{}: {} x `{}`{}",
        finding.subject(),
        finding.repeats,
        finding.statement,
        cause.unwrap_or_default()
    )
}

fn metrics(snapshot: &Snapshot) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut add = |title: String, table: Table| {
        if !table.is_empty() {
            blocks.push(Block::Table { title, table });
        }
    };
    let first = |length: usize| length.min(ROWS);
    let of = snapshot.requests();
    add("Requests".into(), requests(&of[..first(of.len())]));
    let of = snapshot.queries();
    add("Queries".into(), queries(&of[..first(of.len())]));
    let of = snapshot.functions();
    add("Functions".into(), functions(&of[..first(of.len())]));
    for function in snapshot.lines().iter().take(ROWS) {
        add(
            format!("Lines of {}::{}", function.module, function.name),
            lines(function),
        );
    }
    if blocks.is_empty() {
        blocks.push(Block::Text("Nothing has been recorded.".into()));
    }
    blocks
}

struct Markdown<'a>(&'a Snapshot);

pub(crate) fn markdown(snapshot: &Snapshot) -> impl fmt::Display + '_ {
    Markdown(snapshot)
}

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Profile")?;
        for section in sections(self.0) {
            writeln!(f, "\n## {}", section.title)?;
            for block in &section.blocks {
                write_block(block, f)?;
            }
        }
        Ok(())
    }
}

fn write_block(block: &Block, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match block {
        Block::Text(text) => writeln!(f, "\n{text}"),
        Block::Items(items) => {
            writeln!(f)?;
            items.iter().try_for_each(|item| writeln!(f, "- {item}"))
        }
        Block::Table { title, table } => {
            writeln!(f, "\n### {title}\n")?;
            for (number, line) in table.lines().enumerate() {
                let cells: Vec<_> = line.iter().map(|cell| cell.replace('|', "\\|")).collect();
                writeln!(f, "| {} |", cells.join(" | "))?;
                if number == 0 {
                    writeln!(f, "|{}", "---|".repeat(line.len()))?;
                }
            }
            Ok(())
        }
    }
}

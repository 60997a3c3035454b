//! The report for people who decide: what is, what is wrong, what to do, how, and what it brings.

use super::table::Table;
use super::{ROWS, functions, lines, queries, requests};
use crate::finding::Finding;
use crate::plans::{Advice, Explanation, Plan};
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
    let mut issues = items(snapshot, "None were found.", issue, slow);
    let blocked = snapshot.blocked().iter();
    let blocked: Vec<_> = blocked
        .map(|blocked| format!("A worker was {blocked}."))
        .collect();
    if !blocked.is_empty() {
        issues.push(Block::Items(blocked));
    }
    let nothing = "Nothing to change.";
    let parts = [
        ("Current Metrics", metrics(snapshot)),
        ("Identified Issues", issues),
        (
            "Recommendations",
            items(snapshot, nothing, recommendation, |slow| {
                slow.advice.as_ref().map(missing_index)
            }),
        ),
        (
            "Implementation",
            items(snapshot, nothing, implementation, |slow| {
                let ddl = slow.advice.as_ref()?.ddl();
                Some(
                    ddl.iter()
                        .map(|ddl| format!("`{ddl}`"))
                        .collect::<Vec<_>>()
                        .join(", "),
                )
            }),
        ),
        (
            "Expected Impact",
            items(snapshot, "None.", impact, |slow| {
                slow.advice.as_ref().map(index_impact)
            }),
        ),
    ];
    let section = |(title, blocks)| Section { title, blocks };
    parts.into_iter().map(section).collect()
}

/// What there is to say of each finding and of each slow statement.
fn items(
    snapshot: &Snapshot,
    none: &str,
    of_finding: fn(&Finding) -> String,
    of_slow: fn(&Explanation) -> Option<String>,
) -> Vec<Block> {
    let findings = snapshot.findings().iter().map(of_finding);
    let slow = snapshot.explanations().iter().filter_map(of_slow);
    let items: Vec<_> = findings.chain(slow).collect();
    vec![if items.is_empty() {
        Block::Text(none.into())
    } else {
        Block::Items(items)
    }]
}

fn slow(slow: &Explanation) -> Option<String> {
    let plan = slow.plan.iter().flat_map(Plan::findings);
    let reasons = plan.map(|finding| finding.to_string());
    let missing = slow.advice.as_ref().map(|_| "misses an index".to_owned());
    let reasons: Vec<_> = reasons.chain(missing).chain(slow.failure.clone()).collect();
    let reasons = if reasons.is_empty() {
        "nothing strikes in its plan".into()
    } else {
        reasons.join(", ")
    };
    Some(format!(
        "Slow {} times: `{}`: {reasons}",
        slow.slow, slow.statement
    ))
}

fn missing_index(advice: &Advice) -> String {
    let indexes = advice.indexes.iter().map(|index| {
        let columns: Vec<_> = index
            .columns
            .iter()
            .map(|(column, _)| column.as_str())
            .collect();
        format!("{} ({})", index.table, columns.join(", "))
    });
    let indexes: Vec<_> = indexes.collect();
    format!(
        "`{}`: make an index of {}",
        advice.statement,
        indexes.join(" and of ")
    )
}

fn index_impact(advice: &Advice) -> String {
    let Advice {
        statement,
        before,
        after,
        ..
    } = advice;
    match (before.cost, after.cost) {
        (Some(before), Some(after)) => {
            format!(
                "`{statement}`: the planner expects a cost of {after:.0} instead of {before:.0}"
            )
        }
        _ => format!(
            "`{statement}`: the planner uses the index instead of {} scans and {} sorts",
            before.scans(),
            before.sorts()
        ),
    }
}

fn recommendation(finding: &Finding) -> String {
    format!("{}: use {}", finding.subject(), finding.cure().item)
}

fn implementation(finding: &Finding) -> String {
    let cure = finding.cure();
    let place = finding.function.map(|function| format!(" in {function}"));
    format!(
        "{}: {}{}",
        cure.item,
        cure.effect,
        place.unwrap_or_default()
    )
}

fn impact(finding: &Finding) -> String {
    format!(
        "{}: up to {:.1?} of {:.1?} of query time",
        finding.subject(),
        finding.avoidable_time(),
        finding.time
    )
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

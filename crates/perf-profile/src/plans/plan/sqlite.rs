//! `EXPLAIN QUERY PLAN`. Its wording is no interface, so what is not recognised is kept as a step of no
//! special kind.

use super::{Access, Plan, Step};

pub(super) fn parse(text: &str) -> Plan {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Plan {
        steps: lines.map(step).collect(),
        cost: None,
    }
}

fn step(line: &str) -> Step {
    let mut words = line.split_whitespace();
    let access = match words.next() {
        Some("SCAN") if line.contains(" USING ") => Access::IndexScan,
        // Of no table: `SELECT 1`, `VALUES`, a subquery's result, a function that makes rows.
        Some("SCAN") if line.contains("CONSTANT ROW") || line.contains("VIRTUAL TABLE") => {
            Access::Other
        }
        Some("SCAN") => Access::Scan,
        Some("SEARCH") if line.contains("AUTOMATIC") => Access::AutomaticIndex,
        Some("SEARCH") => Access::Seek,
        Some("USE") if line.contains("TEMP B-TREE") => Access::Sort,
        Some("MATERIALIZE") => Access::TemporaryTable,
        _ => Access::Other,
    };
    let reads = matches!(
        access,
        Access::Scan | Access::IndexScan | Access::Seek | Access::AutomaticIndex
    );
    // Before version 3.36 it was "SCAN TABLE x AS y".
    let table = words.find(|word| *word != "TABLE").filter(|_| reads);
    Step {
        access,
        table: table.map(Into::into),
        index: reads.then(|| index(line)).flatten(),
        ..Step::default()
    }
}

fn index(line: &str) -> Option<String> {
    let (_, name) = line.split_once(" INDEX ")?;
    name.split([' ', '(']).next().map(Into::into)
}

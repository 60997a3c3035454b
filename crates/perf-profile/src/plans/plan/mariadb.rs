//! `EXPLAIN FORMAT=JSON` and `ANALYZE FORMAT=JSON` of MariaDB.

use super::{Access, Plan, Step, unreadable};
use crate::ProfileError;
use serde_json::Value;

pub(super) fn parse(explained: &Value) -> Result<Plan, ProfileError> {
    let root = explained.get("query_block");
    let root = root.ok_or_else(|| unreadable("there is no \"query_block\""))?;
    let mut steps = Vec::new();
    let cost = walk(&mut steps, root);
    Ok(Plan {
        steps,
        cost: Some(cost),
    })
}

/// Adds the steps below `node` and returns how many rows they examine.
///
/// The tables of one block are joined by nested loops: each is read once for every row that the ones
/// before it left.
fn walk(steps: &mut Vec<Step>, node: &Value) -> f64 {
    let (mut examined, mut loops) = (0.0, 1.0);
    visit(steps, node, &mut examined, &mut loops);
    examined
}

fn visit(steps: &mut Vec<Step>, node: &Value, examined: &mut f64, loops: &mut f64) {
    match node {
        Value::Array(nodes) => nodes
            .iter()
            .for_each(|node| visit(steps, node, examined, loops)),
        Value::Object(fields) => {
            for (name, child) in fields {
                match name.as_str() {
                    "table" => table(steps, child, examined, loops),
                    "filesort" | "temporary_table" => {
                        let access = match name.as_str() {
                            "filesort" => Access::Sort,
                            _ => Access::TemporaryTable,
                        };
                        steps.push(Step {
                            access,
                            ..Step::default()
                        });
                        visit(steps, child, examined, loops);
                    }
                    // Each is a query of its own, done as a whole.
                    "query_block" | "query_specifications" | "subqueries" | "materialized" => {
                        *examined += walk(steps, child);
                    }
                    _ => visit(steps, child, examined, loops),
                }
            }
        }
        _ => {}
    }
}

fn table(steps: &mut Vec<Step>, table: &Value, examined: &mut f64, loops: &mut f64) {
    let text = |key: &str| table.get(key).and_then(Value::as_str).map(String::from);
    let number = |key: &str| table.get(key).and_then(Value::as_f64);
    let access = match text("access_type").as_deref() {
        Some("ALL") => Access::Scan,
        Some("index") => Access::IndexScan,
        Some(_) => Access::Seek,
        None => Access::Other,
    };
    let rows = number("rows").or_else(|| number("rows_examined_per_scan"));
    steps.push(Step {
        access,
        table: text("table_name"),
        index: text("key"),
        filters: table.get("attached_condition").is_some(),
        rows,
        actual_rows: number("r_rows"),
    });
    *examined += *loops * rows.unwrap_or(1.0);
    *loops *= (rows.unwrap_or(1.0) * number("filtered").unwrap_or(100.0) / 100.0).max(1.0);
    if let Some(materialized) = table.get("materialized") {
        *examined += walk(steps, materialized);
    }
}

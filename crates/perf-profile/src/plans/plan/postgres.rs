//! `EXPLAIN (FORMAT JSON)`, Postgres 12 to 18.

use super::{Access, Plan, Step, unreadable};
use crate::ProfileError;
use serde_json::Value;

pub(super) fn parse(explained: &Value) -> Result<Plan, ProfileError> {
    let root = explained.get(0).and_then(|first| first.get("Plan"));
    let root = root.ok_or_else(|| unreadable("there is no [{\"Plan\": …}]"))?;
    let mut plan = Plan {
        steps: Vec::new(),
        cost: number(root, "Total Cost"),
    };
    push(&mut plan.steps, root);
    Ok(plan)
}

fn push(steps: &mut Vec<Step>, node: &Value) {
    let access = match text(node, "Node Type").unwrap_or_default() {
        "Seq Scan" | "Sample Scan" => Access::Scan,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan"
            if node.get("Index Cond").is_some() =>
        {
            Access::Seek
        }
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => Access::IndexScan,
        "Sort" | "Incremental Sort" => Access::Sort,
        "Materialize" | "CTE Scan" => Access::TemporaryTable,
        _ => Access::Other,
    };
    steps.push(Step {
        access,
        table: text(node, "Relation Name").map(Into::into),
        index: text(node, "Index Name").map(Into::into),
        filters: node.get("Filter").is_some(),
        rows: number(node, "Plan Rows"),
        actual_rows: number(node, "Actual Rows"),
    });
    for child in node
        .get("Plans")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        push(steps, child);
    }
}

fn text<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Value::as_str)
}

fn number(node: &Value, key: &str) -> Option<f64> {
    node.get(key).and_then(Value::as_f64)
}

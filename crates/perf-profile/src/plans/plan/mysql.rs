//! `EXPLAIN FORMAT=JSON` of MySQL 8 and later, in version 1 of its format (nested blocks like MariaDB's,
//! with costs as text) and version 2 (a tree of iterators).

use super::{Access, Plan, Step, unreadable};
use crate::ProfileError;
use serde_json::Value;

pub(super) fn parse(explained: &Value) -> Result<Plan, ProfileError> {
    let mut steps = Vec::new();
    let cost = if let Some(block) = explained.get("query_block") {
        blocks(&mut steps, block);
        let cost = block
            .pointer("/cost_info/query_cost")
            .and_then(Value::as_str);
        cost.and_then(|cost| cost.parse().ok())
    } else {
        let root = explained.get("query_plan").unwrap_or(explained);
        if root.get("operation").is_none() {
            return Err(unreadable(
                "there is neither \"query_block\" nor \"operation\"",
            ));
        }
        iterators(&mut steps, root);
        root.get("estimated_total_cost").and_then(Value::as_f64)
    };
    Ok(Plan { steps, cost })
}

fn blocks(steps: &mut Vec<Step>, node: &Value) {
    let flag = |key: &str| node.get(key).and_then(Value::as_bool).unwrap_or(false);
    for (set, access) in [
        (flag("using_filesort"), Access::Sort),
        (flag("using_temporary_table"), Access::TemporaryTable),
    ] {
        if set {
            steps.push(Step {
                access,
                ..Step::default()
            });
        }
    }
    match node {
        Value::Array(nodes) => nodes.iter().for_each(|node| blocks(steps, node)),
        Value::Object(fields) => {
            for (name, child) in fields {
                if name == "table" {
                    steps.push(table(child));
                }
                blocks(steps, child);
            }
        }
        _ => {}
    }
}

fn table(table: &Value) -> Step {
    let text = |key: &str| table.get(key).and_then(Value::as_str).map(String::from);
    Step {
        access: match text("access_type").as_deref() {
            Some("ALL") => Access::Scan,
            Some("index") => Access::IndexScan,
            Some(_) => Access::Seek,
            None => Access::Other,
        },
        table: text("table_name"),
        index: text("key"),
        filters: table.get("attached_condition").is_some(),
        rows: table.get("rows_examined_per_scan").and_then(Value::as_f64),
        actual_rows: None,
    }
}

fn iterators(steps: &mut Vec<Step>, node: &Value) {
    let text = |key: &str| node.get(key).and_then(Value::as_str).map(String::from);
    let number = |key: &str| node.get(key).and_then(Value::as_f64);
    let kind = text("access_type").unwrap_or_default();
    let inputs = node.get("inputs").and_then(Value::as_array);
    let access = match kind.as_str() {
        "table" => Access::Scan,
        "index" if text("index_access_type").as_deref() == Some("index_scan") => Access::IndexScan,
        "index" => Access::Seek,
        "sort" => Access::Sort,
        "materialize" | "temp_table_aggregate" => Access::TemporaryTable,
        _ => Access::Other,
    };
    steps.push(Step {
        access,
        table: text("table_name"),
        index: text("index_name"),
        filters: false,
        rows: number("estimated_rows"),
        actual_rows: number("actual_rows"),
    });
    let at = steps.len();
    for input in inputs.into_iter().flatten() {
        iterators(steps, input);
    }
    // A filter is an iterator of its own, above the one whose rows it throws away.
    if kind == "filter"
        && let Some(filtered) = steps.get_mut(at)
    {
        filtered.filters = true;
    }
}

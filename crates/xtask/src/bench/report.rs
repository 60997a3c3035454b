//! From what a run of benchmarks left behind to the lines of the report.

use super::line::Line;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Criterion's folder within a run's results.
pub(super) const CRITERION: &str = "criterion";
/// The lines that benchmarks recorded themselves.
pub(super) const RECORDS: &str = "records.jsonl";

/// The function of a criterion group that the others are compared with.
const OURS: &str = "perfkit";

/// Median nanoseconds by function, by group.
type Groups = BTreeMap<String, BTreeMap<String, f64>>;

/// All lines of a run, in the order of their ids. Where a benchmark recorded a comparison itself,
/// criterion's figures for the same one yield to it.
pub(super) fn read(folder: &Path) -> Result<Vec<Line>> {
    let mut groups = Groups::new();
    read_criterion(&folder.join(CRITERION), &mut groups)?;
    let mut lines = BTreeMap::new();
    for (group, functions) in &groups {
        for line in pair(group, functions)? {
            lines.insert(line.id.clone(), line);
        }
    }
    for line in read_records(&folder.join(RECORDS))? {
        lines.insert(line.id.clone(), line);
    }
    Ok(lines.into_values().collect())
}

/// Each peer of a group beside ours.
fn pair(group: &str, functions: &BTreeMap<String, f64>) -> Result<Vec<Line>> {
    let ours = *functions
        .get(OURS)
        .with_context(|| format!("criterion group {group} has no function {OURS}"))?;
    let peers = functions.iter().filter(|(name, _)| *name != OURS);
    let line = |(name, peer): (&String, &f64)| Line {
        id: format!("{group}/{name}"),
        ours,
        peer: *peer,
        ratio: ours / peer,
        unit: "ns".into(),
    };
    Ok(peers.map(line).collect())
}

/// Finds each `new/` folder, which holds a function's latest estimates.
fn read_criterion(folder: &Path, groups: &mut Groups) -> Result<()> {
    let Ok(entries) = folder.read_dir() else {
        return Ok(()); // no criterion benchmark in this package
    };
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == "new") {
            let (group, function, median) = read_function(&path)?;
            groups.entry(group).or_default().insert(function, median);
        } else if path.is_dir() {
            read_criterion(&path, groups)?;
        }
    }
    Ok(())
}

/// One function's group, name and median. A parameter of the benchmark is part of its group.
fn read_function(folder: &Path) -> Result<(String, String, f64)> {
    let benchmark = read_json(&folder.join("benchmark.json"))?;
    let estimates = read_json(&folder.join("estimates.json"))?;
    let mut group = benchmark["group_id"]
        .as_str()
        .context("a benchmark without group")?
        .to_owned();
    if let Some(parameter) = benchmark["value_str"].as_str() {
        group = format!("{group}/{parameter}");
    }
    let function = benchmark["function_id"].as_str().unwrap_or(OURS).to_owned();
    let median = estimates["median"]["point_estimate"]
        .as_f64()
        .with_context(|| format!("{group}/{function} has no median"))?;
    Ok((group, function, median))
}

fn read_json(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))
}

fn read_records(path: &Path) -> Result<Vec<Line>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).context("cannot read the recorded lines")?;
    let parse = |line| {
        serde_json::from_str(line).with_context(|| format!("not a line of a report: {line}"))
    };
    text.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tempfile::TempDir;

    fn results(functions: &[(&str, &str, Option<&str>, f64)], records: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (index, (group, function, parameter, median)) in functions.iter().enumerate() {
            let new = folder.path().join(format!("{CRITERION}/{index}/new"));
            fs::create_dir_all(&new).expect("writable");
            let benchmark =
                json!({"group_id": group, "function_id": function, "value_str": parameter});
            let estimates = json!({"median": {"point_estimate": median}});
            fs::write(new.join("benchmark.json"), benchmark.to_string()).expect("writable");
            fs::write(new.join("estimates.json"), estimates.to_string()).expect("writable");
        }
        fs::write(folder.path().join(RECORDS), records).expect("writable");
        folder
    }

    fn ids_and_ratios(folder: &TempDir) -> Vec<(String, f64)> {
        let lines = read(folder.path()).expect("a report");
        lines
            .into_iter()
            .map(|line| (line.id, line.ratio))
            .collect()
    }

    #[test]
    fn each_peer_is_paired_with_ours() {
        let folder = results(
            &[
                ("cache/get/hit", "perfkit", None, 10.0),
                ("cache/get/hit", "moka", None, 40.0),
                ("cache/get/hit", "mini_moka", None, 20.0),
                ("cache/scan", "perfkit", Some("zipf"), 3.0),
                ("cache/scan", "moka", Some("zipf"), 2.0),
            ],
            "",
        );
        assert_eq!(
            ids_and_ratios(&folder),
            [
                ("cache/get/hit/mini_moka".to_owned(), 0.5),
                ("cache/get/hit/moka".to_owned(), 0.25),
                ("cache/scan/zipf/moka".to_owned(), 1.5),
            ]
        );
    }

    #[test]
    fn recorded_lines_join_and_win() {
        let folder = results(
            &[
                ("a/b/c", "perfkit", None, 1.0),
                ("a/b/c", "peer", None, 1.0),
            ],
            "{\"id\":\"a/b/c/peer\",\"ours\":1,\"peer\":2,\"ratio\":0.5,\"unit\":\"ns\"}\n\
             {\"id\":\"a/bytes/c/peer\",\"ours\":3,\"peer\":4,\"ratio\":0.75,\"unit\":\"bytes\"}\n",
        );
        assert_eq!(
            ids_and_ratios(&folder),
            [
                ("a/b/c/peer".to_owned(), 0.5),
                ("a/bytes/c/peer".to_owned(), 0.75)
            ]
        );
    }

    #[test]
    fn a_group_without_ours_is_an_error() {
        let folder = results(&[("a/b/c", "peer", None, 1.0)], "");
        let error = read(folder.path()).expect_err("nothing to compare with");
        assert_eq!(
            error.to_string(),
            "criterion group a/b/c has no function perfkit"
        );
    }

    #[test]
    fn a_damaged_record_is_an_error() {
        let folder = results(&[], "{\"id\":");
        let error = read(folder.path()).expect_err("damaged");
        assert_eq!(error.to_string(), "not a line of a report: {\"id\":");
    }
}

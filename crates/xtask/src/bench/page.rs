//! A crate's benchmarks as a page of `docs/benchmarks/`, with a picture beside it.

use super::before_after;
use super::line::{Line, figure};
use super::machine::Machine;
use super::plot;
use crate::workspace;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

/// Where the pages are, seen from the root.
const FOLDER: &str = "docs/benchmarks";
/// The ratios that the project promises: an id and a limit a line.
const PROMISES: &str = "benches/promises.txt";

/// Writes the page and the picture of one crate.
pub(super) fn write(name: &str, lines: &[Line]) -> Result<()> {
    let root = workspace::root();
    let promises = fs::read_to_string(root.join(PROMISES))
        .with_context(|| format!("cannot read {PROMISES}"))
        .and_then(|text| parse(&text))?;
    let folder = root.join(FOLDER);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{name}.svg")), plot::ratios(lines))?;
    let page = page(name, lines, &promises, &Machine::here()?);
    fs::write(folder.join(format!("{name}.md")), page)
        .with_context(|| format!("cannot write the page of {name}"))
}

fn parse(text: &str) -> Result<BTreeMap<String, f64>> {
    let promise = |line: &str| {
        let (id, limit) = line.split_once(' ')?;
        Some((id.to_owned(), limit.trim().parse().ok()?))
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| promise(line).with_context(|| format!("not an id and a limit: {line}")))
        .collect()
}

fn page(name: &str, lines: &[Line], promises: &BTreeMap<String, f64>, machine: &Machine) -> String {
    let title = if name == "perfkit" { "" } else { "perf-" };
    let mut page = format!(
        "# {title}{name}, measured\n\n\
         Written by `cargo xtask bench {name} --publish` on {machine}.\n\n\
         ![Each ratio as a bar]({name}.svg)\n\n\
         A ratio below 1 is a win. **Bold** is what misses its promise, or loses where none was made.\n\n\
         | id | ours | peer | unit | ratio | promised |\n|---|---|---|---|---|---|\n"
    );
    for line in lines {
        let limit = promises.get(&line.id).copied();
        let mark = if line.ratio > limit.unwrap_or(1.0) {
            "**"
        } else {
            ""
        };
        let promised = limit.map_or_else(String::new, |limit| format!("{limit}"));
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {mark}{:.3}{mark} | {promised} |",
            line.id,
            figure(line.ours),
            figure(line.peer),
            line.unit,
            line.ratio,
        );
    }
    let prefix = format!("{name}/");
    let was_measured = |id: &str| lines.iter().any(|line| line.id == id);
    let unmeasured = promises
        .keys()
        .filter(|id| id.starts_with(&prefix) && !was_measured(id));
    for id in unmeasured {
        let _ = writeln!(
            page,
            "| `{id}` | | | | **not measured** | {} |",
            promises[id]
        );
    }
    page.push_str(&before_after::table(lines));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, ratio: f64) -> Line {
        Line {
            id: id.into(),
            ours: ratio,
            peer: 1.0,
            ratio,
            unit: "ns".into(),
        }
    }

    #[test]
    fn what_misses_and_what_was_not_measured_is_told() -> Result<()> {
        let promises =
            parse("core/a/b/peer 0.5\n\ncore/c/d/peer 1.1\ncore/e/f/peer 2\ncache/a/b/peer 1\n")?;
        let lines = [
            line("core/a/b/peer", 0.6),
            line("core/c/d/peer", 1.05),
            line("core/x/y/peer", 1.2),
        ];
        let page = page("core", &lines, &promises, &Machine::named("a machine"));
        let rows: Vec<_> = page.lines().filter(|row| row.starts_with("| `")).collect();
        assert_eq!(
            rows,
            [
                "| `core/a/b/peer` | 0.600 | 1.000 | ns | **0.600** | 0.5 |",
                "| `core/c/d/peer` | 1.050 | 1.000 | ns | 1.050 | 1.1 |",
                "| `core/x/y/peer` | 1.200 | 1.000 | ns | **1.200** |  |",
                "| `core/e/f/peer` | | | | **not measured** | 2 |",
            ]
        );
        assert!(page.contains("on a machine."));
        Ok(())
    }

    #[test]
    fn a_promise_without_a_limit_is_an_error() {
        let error = parse("core/a/b/peer").expect_err("no limit");
        assert_eq!(error.to_string(), "not an id and a limit: core/a/b/peer");
    }

    #[test]
    fn the_promises_of_this_repository_can_be_read() -> Result<()> {
        let text = fs::read_to_string(workspace::root().join(PROMISES))?;
        assert!(parse(&text)?.len() > 40, "some are missing");
        Ok(())
    }
}

//! `cargo xtask bench`: our speed and cost beside the peers', as ratios of one run.

mod before_after;
mod line;
mod machine;
mod page;
mod plot;
mod report;

use crate::run;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the command line asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this crate, for example `cache`.
    #[arg(value_name = "CRATE")]
    name: Option<String>,
    /// Prints one JSON object a line on stdout instead of a table.
    #[arg(long)]
    json: bool,
    /// Ends within five minutes a crate on a built tree, with wider error.
    #[arg(long)]
    quick: bool,
    /// Renews the crate's page in `docs/benchmarks/`.
    #[arg(long, conflicts_with = "quick")]
    publish: bool,
}

/// Builds and runs the benchmarks, then prints what they recorded.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = chosen(options.name.as_deref(), packages()?)?;
    for name in &chosen {
        let folder = measure(name, options.quick)?;
        let lines = report::read(&folder).with_context(|| format!("no report of {name}"))?;
        ensure!(
            !lines.is_empty(),
            "the benchmarks of {name} compared nothing"
        );
        if options.publish {
            page::write(name, &lines)?;
        }
        print!(
            "{}",
            if options.json {
                line::json(&lines)?
            } else {
                line::table(&lines)
            }
        );
    }
    Ok(())
}

/// The crates that have benchmarks.
fn packages() -> Result<Vec<String>> {
    let folder = workspace::root().join("benches");
    let mut names = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        if entry.path().join("benches").is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// One of the crates, named with or without its prefix, or all.
fn chosen(name: Option<&str>, all: Vec<String>) -> Result<Vec<String>> {
    let Some(name) = name else {
        return Ok(all);
    };
    let short = name.strip_prefix("perf-").unwrap_or(name).to_owned();
    if !all.contains(&short) {
        bail!(
            "{name} has no benchmarks; there are those of {}",
            all.join(", ")
        );
    }
    Ok(vec![short])
}

/// Builds and runs one crate's benchmarks and returns the folder that holds this run's results and no others.
fn measure(name: &str, quick: bool) -> Result<PathBuf> {
    let folder = workspace::root().join("benches/target/perfkit").join(name);
    clear(&folder)?;
    // One crate at a time: built together, their peers' features would unite and be built twice.
    run::step("build benchmarks", benches_cargo(name).arg("--no-run"))?;
    let mut command = benches_cargo(name);
    command
        .env("CRITERION_HOME", folder.join(report::CRITERION))
        .env("PERF_BENCH_RECORDS", folder.join(report::RECORDS));
    if quick {
        command.env("PERF_BENCH_QUICK", "1");
    }
    run::step(&format!("bench {name}"), &mut command)?;
    Ok(folder)
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).context("cannot remove the results of an earlier run")?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn benches_cargo(name: &str) -> Command {
    let package = format!("bench-{name}");
    let mut command = workspace::cargo(["bench", "--package", &package, "--bench", name]);
    command.current_dir(workspace::root().join("benches"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_with_or_without_prefix() {
        let all = || vec!["cache".to_owned(), "core".to_owned()];
        assert_eq!(chosen(Some("perf-core"), all()).expect("known"), ["core"]);
        assert_eq!(chosen(Some("core"), all()).expect("known"), ["core"]);
        assert_eq!(chosen(None, all()).expect("all"), ["cache", "core"]);
        let error = chosen(Some("other"), all()).expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "other has no benchmarks; there are those of cache, core"
        );
    }

    #[test]
    fn results_of_an_earlier_run_are_gone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let results = folder.path().join("core");
        fs::create_dir(&results).expect("writable");
        fs::write(results.join("records"), "{}").expect("writable");
        clear(&results).expect("own folder");
        assert_eq!(results.read_dir().expect("created").count(), 0);
    }
}

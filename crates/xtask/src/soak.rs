//! `cargo xtask soak`: the tests whose full count takes hours.
//!
//! The same tests run in `cargo xtask test` with few cases. Here they run in release with the full
//! count; `docs/soak.md` keeps the figures of those runs.

use crate::run;
use crate::test;
use crate::workspace;
use anyhow::Result;
use std::process::Command;

/// What the command line asks for.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this crate, for example `cache`.
    #[arg(value_name = "CRATE")]
    name: Option<String>,
    /// How many cases each test runs.
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
}

/// Runs every test whose name, or whose module's, contains `soak`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let start = run::now();
    run::step("soak", &mut command(options, test::has_nextest()))?;
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    eprintln!(
        "    {} cases a test passed in {minutes:.1} min",
        options.cases
    );
    Ok(())
}

fn command(options: &Options, has_nextest: bool) -> Command {
    let runner: &[&str] = if has_nextest {
        &["nextest", "run", "--profile", "soak"]
    } else {
        &["test"]
    };
    let mut command = workspace::cargo(runner.iter().copied());
    command.args(["--release", "--all-features", "--tests"]);
    match &options.name {
        Some(name) => {
            let short = name.strip_prefix("perf-").unwrap_or(name);
            command.arg("--package").arg(format!("perf-{short}"))
        }
        None => command.args(["--workspace", "--exclude", "xtask"]),
    };
    let filter: &[&str] = if has_nextest {
        &["-E", "test(soak)"]
    } else {
        &["--", "soak", "--nocapture"]
    };
    command
        .args(filter)
        .env("PERF_SOAK_CASES", options.cases.to_string());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: Option<&str>, has_nextest: bool) -> String {
        let options = Options {
            name: name.map(str::to_owned),
            cases: 1_000,
        };
        run::command_line(&command(&options, has_nextest))
    }

    #[test]
    fn one_crate_is_named_with_or_without_prefix() {
        let expected = "PERF_SOAK_CASES=1000 cargo test --release --all-features --tests \
                        --package perf-cache -- soak --nocapture";
        assert_eq!(line(Some("cache"), false), expected);
        assert_eq!(line(Some("perf-cache"), false), expected);
    }

    #[test]
    fn nextest_picks_the_modules_by_a_filter() {
        assert_eq!(
            line(None, true),
            "PERF_SOAK_CASES=1000 cargo nextest run --profile soak --release --all-features \
             --tests --workspace --exclude xtask -E 'test(soak)'"
        );
    }
}

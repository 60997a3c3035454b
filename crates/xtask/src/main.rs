//! The project's tasks: everything a person or a CI runs goes through here.
//!
//! Each command is a list of steps, and each step is one program run in sight: its name, its command
//! line, the seconds it took. The first that fails ends the task and says how to repeat it alone.

mod bench;
mod check;
mod features;
mod fuzz;
mod package;
mod run;
mod setup;
mod soak;
mod test;
mod tidy;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's tasks.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Installs the servers that the tests start: Redis, Postgres, MariaDB.
    Setup,
    /// Runs everything that a change must pass: unit, integration, doc, loom, fuzz, examples.
    Test,
    /// Checks everything that needs no run: format, lints, docs, each feature alone, tidy rules, licences.
    Check,
    /// Checks the rules that clippy cannot see (a part of `check`).
    Tidy,
    /// Compares with the peers: a table, or a JSON object a line.
    Bench(bench::Options),
    /// Runs the fuzz targets over their seeds (needs the nightly toolchain).
    Fuzz {
        /// Only this target of `fuzz/fuzz_targets/`.
        target: Option<String>,
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Runs the long tests with their full count, in release.
    Soak(soak::Options),
}

fn main() -> ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup::run(),
        Task::Test => test::run(),
        Task::Check => check::run(),
        Task::Tidy => tidy::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Task::Soak(options) => soak::run(&options),
    }
}

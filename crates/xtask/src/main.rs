//! The project's tasks: everything a person or a CI runs goes through here.
//!
//! Each command is a list of steps, and each step is one program run in sight: its name, its command
//! line, the seconds it took. The first that fails ends the task and says how to repeat it alone.

mod bench;
mod fuzz;
mod run;
mod setup;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Setup => setup::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
    }
}

//! `perf-bench`: load tests a service or a database, and says whether it became slower.

mod assertion;
mod baseline;
mod cli;
mod database;
mod failure;
mod http;
mod output;
mod progress;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use failure::Failure;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("perf-bench: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Some(Command::Http(arguments)) => http::run(&arguments).await,
        Some(Command::Db(arguments)) => database::run(&arguments).await,
        Some(Command::Completions { shell }) => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "perf-bench", &mut std::io::stdout());
            Ok(())
        }
        None => {
            let suite = cli.suite;
            for arguments in suite.http()? {
                http::run(&arguments).await?;
            }
            if let Some(arguments) = suite.database() {
                database::run(&arguments).await?;
            }
            Ok(())
        }
    }
}

//! Every pattern before and after, on 27,004 real flights.
//!
//! ```text
//! cargo run --release --example quickstart [DATA_FOLDER]
//! ```
//!
//! Imports the flights into an SQLite file in a temporary folder and shows, chapter by chapter, the naive way
//! and the way of one crate, each with its measured time. Both ways must give the same answer: a mismatch
//! ends the run with an error.

mod aggregate;
mod connections;
mod data;
mod database;
mod import;
mod pages;
mod relations;
mod report;
mod upstream;

use anyhow::{Context as _, Result, ensure};
use database::Database;
use perfkit::core::{Dialect, Registry, Value};
use perfkit::profile::Profiler;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nycflights13");

#[tokio::main]
async fn main() -> ExitCode {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from(DATA), PathBuf::from);
    match run(folder).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(folder: PathBuf) -> Result<()> {
    let profiler = Profiler::builder()
        .name("quickstart")
        .dialect(Dialect::Sqlite)
        .build();
    tracing_subscriber::registry()
        .with(profiler.sql_layer())
        .init();
    profiler.verify()?;
    let registry = Registry::new();

    println!("Perfkit on the flights that left New York City in January 2013");
    let data = data::read(&folder)?;
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let database = Database::create(folder.path()).await?;

    import::show(&database, &data).await?;
    pages::show(&database, &data).await?;
    relations::show(&database, &profiler).await?;
    let _cache = aggregate::show(&database, &registry).await?;
    let _breaker = upstream::show(&registry).await?;
    let pool = connections::show(&database, &registry).await?;

    report::chapter("Where the time went", "perf-profile");
    println!("{}", profiler.snapshot().top_functions(8));
    figures(&registry);
    let leaked = pool.close(Duration::from_secs(5)).await?;
    ensure!(leaked == 0, "{leaked} connections were not returned");
    Ok(())
}

/// What the parts that still live say of themselves.
fn figures(registry: &Registry) {
    report::chapter("The registry", "perf-core");
    for part in registry.inspect() {
        let samples = part.samples.iter().filter_map(|sample| match sample.value {
            Value::Counter(count) if count > 0 => Some(format!("{} {count}", sample.name)),
            Value::Gauge(value) if value > 0.0 => Some(format!("{} {value}", sample.name)),
            _ => None,
        });
        let samples = samples.collect::<Vec<_>>().join(", ");
        println!(
            "  {} \"{}\": {:?}; {samples}",
            part.kind, part.name, part.health
        );
    }
}

//! What an operator can set.

use anyhow::{Result, bail};
use clap::Parser;
use perfkit::breaker::Quota;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nycflights13");

/// A service on the flights that left New York City in January 2013.
#[derive(Clone, Debug, Parser)]
#[command(name = "flight_service")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,
    /// postgres://… or sqlite://file?mode=rwc. Default: an SQLite file in a temporary folder.
    #[arg(long)]
    pub(crate) database_url: Option<String>,
    /// redis://…, which instances share cached answers, limits and breakers on. Default: memory.
    #[arg(long)]
    pub(crate) redis_url: Option<String>,
    /// How many instances share the limits.
    #[arg(long, default_value_t = 1)]
    pub(crate) instances: u32,
    /// What one client may ask.
    #[arg(long, default_value = "6000/minute burst 1000")]
    pub(crate) rate_limit: Quota,
    /// How long another instance's write may stay unseen.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) window: Duration,
    /// Connections to the database.
    #[arg(long, default_value_t = 8)]
    pub(crate) pool_size: u32,
    /// How many jobs run at a time.
    #[arg(long, default_value_t = 4)]
    pub(crate) concurrency: usize,
    /// Signs the cursors of pages, alike on all instances: at least 32 characters.
    #[arg(long, default_value = "only good for trying this service out")]
    pub(crate) cursor_secret: String,
    /// The share of its answers that the upstream fails, from 0 to 1.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) upstream_failures: f64,
    /// Where the data set is, for a database that is empty.
    #[arg(long, default_value = DATA)]
    pub(crate) data: PathBuf,
}

impl Args {
    /// Reads the command line; `None` when it asked for help, which is printed then.
    pub(crate) fn read() -> Result<Option<Self>> {
        let refused = match Self::try_parse() {
            Ok(args) => return Ok(Some(args)),
            Err(refused) => refused,
        };
        if refused.use_stderr() {
            let text = refused.to_string();
            let line = text.lines().next().unwrap_or_default();
            bail!("{}", line.trim_start_matches("error: "));
        }
        refused.print()?;
        Ok(None)
    }
}

//! What an operator can set.

use anyhow::{Result, bail};
use clap::Parser;
use perfkit::breaker::Quota;
use perfkit::settings::Settings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/nycflights13");

/// What holds here if nobody says otherwise.
const DEFAULTS: [(&str, &str); 3] = [
    ("cache.default_ttl", "1m"),
    ("database.pool_timeout", "2s"),
    ("rate_limit.per_minute", "6000"),
];

/// A service on the flights that left New York City in January 2013.
///
/// Settings come from perfkit.toml, or the file of --settings; from the environment, as DATABASE__POOL_SIZE; and from
/// --set. What comes later goes first.
#[derive(Clone, Debug, Parser)]
#[command(name = "flight_service")]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,
    /// postgres://… or sqlite://file?mode=rwc. Default: an SQLite file in a temporary folder.
    #[arg(long)]
    database_url: Option<String>,
    /// redis://…, which instances share cached answers, limits and breakers on. Default: memory.
    #[arg(long)]
    redis_url: Option<String>,
    /// How many instances share the limits.
    #[arg(long, default_value_t = 1)]
    pub(crate) instances: u32,
    /// What one client may ask, as 100/second burst 200. Default: rate_limit of the settings.
    #[arg(long)]
    pub(crate) rate_limit: Option<Quota>,
    /// How long another instance's write may stay unseen.
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    pub(crate) window: Duration,
    /// Signs the cursors of pages, alike on all instances: at least 32 characters.
    #[arg(long, default_value = "only good for trying this service out")]
    pub(crate) cursor_secret: String,
    /// Lets those who send it as a bearer token act on /performance. Default: nobody.
    #[arg(long)]
    pub(crate) operator_token: Option<String>,
    /// How often the database's planner is asked which indexes would serve; Postgres needs its extension hypopg for it.
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    pub(crate) advise_every: Duration,
    /// The share of its answers that the upstream fails, from 0 to 1.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) upstream_failures: f64,
    /// A TOML file of settings.
    #[arg(long)]
    settings: Option<PathBuf>,
    /// One setting, as database.pool_size=20.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
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

    /// The settings, from wherever they come.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let defaults = DEFAULTS.into_iter();
        let loader = defaults.fold(Settings::loader(), |loader, (key, value)| {
            loader.set(key, value, "this service's default")
        });
        let loader = match &self.settings {
            Some(path) => loader.file(path),
            None => loader.file_if_present(Settings::FILE),
        };
        let mut loader = loader.environment();
        for (key, value) in &self.set {
            loader = loader.set(key, value.as_str(), "--set");
        }
        if let Some(url) = &self.database_url {
            loader = loader.set("database.url", url.as_str(), "--database-url");
        }
        if let Some(url) = &self.redis_url {
            loader = loader.set("redis.url", url.as_str(), "--redis-url");
        }
        Ok(loader.load()?)
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("it is no KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

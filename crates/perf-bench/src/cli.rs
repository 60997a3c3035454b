use crate::assertion::Assertion;
use crate::failure::Failure;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use http::{HeaderName, HeaderValue, Method, Uri};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Load tests a service or a database, and says whether it became slower.
///
/// Exit codes: 0 all well; 1 an assertion does not hold or a metric regressed; 2 wrong usage; 3 the target
/// cannot be reached; 4 a baseline cannot be read or saved; 5 the report cannot be written.
#[derive(Debug, Parser)]
#[command(
    name = "perf-bench",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) suite: Suite,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sends load to a URL.
    ///
    /// At a rate (`--rate`, `--stage`) latencies count from the moment each request was due, so a stall
    /// is measured as everybody would feel it. With `--users`, each user waits for an answer before the
    /// next request: right for the highest throughput, wrong for latencies.
    Http(Box<HttpArguments>),
    /// Measures insert, page and lookup patterns on a database, the naive way and the good one.
    ///
    /// Makes tables whose names begin with `perf_bench_`, and drops them at the end.
    Db(DatabaseArguments),
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Ready-made runs.
#[derive(Args, Debug)]
pub(crate) struct Suite {
    /// Everything below.
    #[arg(long)]
    all: bool,
    /// Ten users on the service.
    #[arg(long)]
    api: bool,
    /// Many users on the service: see --users.
    #[arg(long)]
    concurrent: bool,
    /// The patterns of `perf-bench db`.
    #[arg(long)]
    database: bool,
    /// How many users --concurrent has.
    #[arg(long, default_value = "100")]
    users: NonZeroUsize,
    /// How long --api and --concurrent take, each.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The service.
    #[arg(long, env = "PERF_BENCH_URL", default_value = "http://127.0.0.1:3000/")]
    url: Uri,
    /// The database.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite::memory:")]
    database_url: String,
}

impl Suite {
    pub(crate) fn http(&self) -> Result<Vec<HttpArguments>, Failure> {
        if !(self.all || self.api || self.concurrent || self.database) {
            let usage = "say what to run: --all, --api, --concurrent, --database, or a command";
            return Err(Failure::Usage(usage.into()));
        }
        let ten = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
        let api = (self.all || self.api).then_some(ten);
        let concurrent = (self.all || self.concurrent).then_some(self.users);
        let arguments = |users| HttpArguments::users(self.url.clone(), users, self.duration);
        Ok(api.into_iter().chain(concurrent).map(arguments).collect())
    }

    pub(crate) fn database(&self) -> Option<DatabaseArguments> {
        (self.all || self.database).then(|| DatabaseArguments {
            url: self.database_url.clone(),
            rows: DatabaseArguments::ROWS,
            output: OutputArguments::default(),
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct HttpArguments {
    /// The URL, http only.
    pub(crate) url: Uri,
    /// Requests a second, whatever becomes of them.
    #[arg(long, conflicts_with_all = ["users", "stages", "stress"])]
    pub(crate) rate: Option<f64>,
    /// Users who each wait for an answer before their next request.
    #[arg(long, conflicts_with_all = ["stages", "stress"])]
    pub(crate) users: Option<NonZeroUsize>,
    /// A rate and how long it takes to get there: 100@30s. The first is held from the start.
    #[arg(long = "stage", value_name = "RATE@DURATION", value_parser = stage, conflicts_with = "stress")]
    pub(crate) stages: Vec<(f64, Duration)>,
    /// Raises the rate from this one until the service no longer keeps up.
    #[arg(long, value_name = "RATE")]
    pub(crate) stress: Option<f64>,
    /// By what --stress multiplies the rate at each step.
    #[arg(long, default_value_t = 1.5, requires = "stress")]
    pub(crate) factor: f64,
    /// The 99th percentile from which --stress ends.
    #[arg(long, default_value = "500ms", value_parser = humantime::parse_duration, requires = "stress")]
    pub(crate) max_p99: Duration,
    /// How long a run, or a step of --stress, takes.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(crate) duration: Duration,
    /// How long load is sent before it counts.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) warm_up: Duration,
    /// From when on a request counts as failed.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// Requests come at random, as those of many people do, instead of evenly spaced.
    #[arg(long)]
    pub(crate) random: bool,
    /// The method.
    #[arg(short = 'X', long, default_value = "GET")]
    pub(crate) method: Method,
    /// A header, `name: value`.
    #[arg(short = 'H', long = "header", value_parser = header)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    #[arg(short, long, default_value = "")]
    pub(crate) body: String,
    /// What must hold: `p99<500ms`, `errors<1%`, `rate>1000`. Also p50, p95, p999, max.
    #[arg(long = "assert", value_name = "ASSERTION")]
    pub(crate) assertions: Vec<Assertion>,
    /// How many runs. Default: 1, or 10 where a baseline is saved or compared.
    #[arg(long)]
    pub(crate) runs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) baseline: BaselineArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Args, Debug)]
pub(crate) struct BaselineArguments {
    /// Compares the runs with the baseline of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Saves the runs as the baseline of this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) save_baseline: Option<String>,
    /// Where baselines are kept.
    #[arg(long, default_value = "baselines")]
    pub(crate) baseline_folder: PathBuf,
    /// From which change on a metric counts as changed, in percent.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) tolerance: f64,
    /// Ends with 1 when a metric regressed.
    #[arg(long, requires = "baseline")]
    pub(crate) fail_on_regression: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct OutputArguments {
    /// How the report is written.
    #[arg(long, default_value = "table")]
    pub(crate) format: Format,
    /// Where the report is written. Default: standard output.
    #[arg(short, long)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people at a terminal.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For a pull request.
    Markdown,
    /// A page with plots that needs nothing else.
    Html,
}

#[derive(Args, Debug)]
pub(crate) struct DatabaseArguments {
    /// The database: postgres://…, mysql://…, sqlite://…, sqlite::memory:
    #[arg(env = "DATABASE_URL")]
    pub(crate) url: String,
    /// How many rows are written.
    #[arg(long, default_value_t = Self::ROWS)]
    pub(crate) rows: u32,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

impl DatabaseArguments {
    const ROWS: u32 = 20_000;
}

impl HttpArguments {
    /// The defaults, with users.
    fn users(url: Uri, users: NonZeroUsize, duration: Duration) -> Self {
        Self {
            url,
            rate: None,
            users: Some(users),
            stages: Vec::new(),
            stress: None,
            factor: 1.5,
            max_p99: Duration::from_millis(500),
            duration,
            warm_up: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            random: false,
            method: Method::GET,
            headers: Vec::new(),
            body: String::new(),
            assertions: Vec::new(),
            runs: None,
            baseline: BaselineArguments {
                baseline: None,
                save_baseline: None,
                baseline_folder: "baselines".into(),
                tolerance: 5.0,
                fail_on_regression: false,
            },
            output: OutputArguments::default(),
        }
    }
}

fn stage(text: &str) -> Result<(f64, Duration), String> {
    let (rate, duration) = text
        .split_once('@')
        .ok_or("a stage is RATE@DURATION, such as 100@30s")?;
    let rate = rate
        .parse()
        .map_err(|_error| format!("{rate:?} is no rate"))?;
    let duration = humantime::parse_duration(duration).map_err(|error| error.to_string())?;
    Ok((rate, duration))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is \"name: value\"")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_error| format!("{name:?} is no header's name"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_error| format!("{value:?} is no header's value"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = [
            "http",
            "http http://x --rate 1 --users 2",
            "http http://x --users 0",
            "http http://x --stage 100",
            "http http://x --stage a@1s",
            "http http://x --stage 1@soon",
            "http http://x --assert p99",
            "http http://x -H nothing",
            "http http://x --fail-on-regression",
            "http http://x --format pdf",
            "completions tcsh-ish",
        ];
        for line in refused {
            let words = std::iter::once("perf-bench").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }

    #[test]
    fn a_suite_has_its_parts() {
        let suite = |line: &str| {
            Cli::try_parse_from(line.split(' '))
                .map(|cli| cli.suite)
                .unwrap()
        };
        let all = suite("perf-bench --all --users 200");
        let users: Vec<_> = all
            .http()
            .unwrap()
            .iter()
            .filter_map(|run| run.users)
            .collect();
        assert_eq!(
            users.iter().map(|users| users.get()).collect::<Vec<_>>(),
            [10, 200]
        );
        assert!(all.database().is_some());
        let database = suite("perf-bench --database");
        assert!(database.http().unwrap().is_empty() && database.database().is_some());
        assert!(suite("perf-bench --users 5").http().is_err());
    }
}

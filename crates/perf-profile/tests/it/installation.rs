//! Every subscriber either lets the profiler see all queries, or is named at installation.
//!
//! Each set-up has a process of its own, since a process has one global subscriber.

use crate::attribution::workload::{self, tally};
use crate::support::{LIMIT, pools, watching};
use log::LevelFilter as LogLevel;
use perf_profile::{ProfileError, Profiler};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, SqlitePool};
use std::process::Command;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry, reload};

const SET_UP: &str = "PERF_PROFILE_SET_UP";
const DATABASES: [&str; 2] = ["PERF_PROFILE_POSTGRES", "PERF_PROFILE_MARIADB"];
const REQUESTS: usize = 20;

/// The set-ups that work, and whether `fmt` is to print the statements in them.
const SEEING: [(&str, bool); 15] = [
    ("alone", false),
    ("fmt above info", false),
    ("fmt with env filter", false),
    ("boxed", false),
    ("reload", false),
    ("two profilers", false),
    ("global info and queries", false),
    ("global warn and queries", false),
    ("global info and queries, fmt", true),
    ("wrapped: fmt, global info", false),
    ("wrapped: fmt, global warn", false),
    ("wrapped: fmt finished", false),
    ("wrapped: fmt prints queries", true),
    ("wrapped: spans on demand, fmt, global info", false),
    ("wrapped: spans on demand, fmt prints queries", true),
];

const BLIND: [(&str, &str); 7] = [
    ("none", "LayerNotInstalled"),
    ("without the layer", "LayerNotInstalled"),
    ("global info", "QueryEventsDisabled"),
    ("global off but queries", "QueryEventsDisabled"),
    ("global filter of events", "QueryEventsDisabled"),
    ("global debug, statements traced", "QueryEventsDisabled"),
    ("statements not logged", "StatementsNotLogged"),
];

fn install(set_up: &str, profiler: &Profiler) {
    let env = EnvFilter::new;
    match set_up {
        "none" => {}
        "without the layer" => registry().with(fmt::layer()).init(),
        "alone" | "statements not logged" => registry().with(profiler.sql_layer()).init(),
        "fmt above info" => {
            let info = fmt::layer().with_filter(LevelFilter::INFO);
            registry().with(profiler.sql_layer()).with(info).init();
        }
        "fmt with env filter" => {
            registry()
                .with(fmt::layer().with_filter(env("info")))
                .with(profiler.sql_layer())
                .init();
        }
        "boxed" => registry().with(profiler.sql_layer().boxed()).init(),
        "reload" => {
            let (info, _handle) = reload::Layer::new(LevelFilter::INFO);
            registry()
                .with(fmt::layer().with_filter(info))
                .with(profiler.sql_layer())
                .init();
        }
        "two profilers" => {
            let other = Profiler::builder().build();
            registry()
                .with(other.sql_layer())
                .with(profiler.sql_layer())
                .init();
        }
        _ => install_behind_filter(set_up, profiler),
    }
}

/// Set-ups with a filter ahead of all layers.
fn install_behind_filter(set_up: &str, profiler: &Profiler) {
    let env = EnvFilter::new;
    match set_up {
        "global info" => registry()
            .with(env("info"))
            .with(profiler.sql_layer())
            .init(),
        "global info and queries" => {
            registry()
                .with(env("info,sqlx::query=debug"))
                .with(profiler.sql_layer())
                .init();
        }
        "global info and queries, fmt" => {
            let filter = env("info,sqlx::query=debug");
            registry()
                .with(filter)
                .with(profiler.sql_layer())
                .with(fmt::layer())
                .init();
        }
        "global warn and queries" => {
            registry()
                .with(env("warn,sqlx::query=debug"))
                .with(profiler.sql_layer())
                .init();
        }
        "global off but queries" => {
            registry()
                .with(env("off,sqlx::query=debug"))
                .with(profiler.sql_layer())
                .init();
        }
        "global filter of events" => {
            let events = filter_fn(|metadata| metadata.is_event());
            registry().with(events).with(profiler.sql_layer()).init();
        }
        "global debug, statements traced" => {
            registry()
                .with(LevelFilter::DEBUG)
                .with(profiler.sql_layer())
                .init();
        }
        _ => wrap(set_up, profiler),
    }
}

fn wrap(set_up: &str, profiler: &Profiler) {
    let env = EnvFilter::new;
    match set_up {
        "wrapped: fmt, global info" => {
            profiler
                .wrap(registry().with(env("info")).with(fmt::layer()))
                .init();
        }
        "wrapped: fmt, global warn" => {
            profiler
                .wrap(registry().with(fmt::layer()).with(env("warn")))
                .init();
        }
        "wrapped: fmt finished" => profiler.wrap(fmt().finish()).init(),
        "wrapped: fmt prints queries" => {
            profiler
                .wrap(fmt().with_env_filter("info,sqlx::query=debug").finish())
                .init();
        }
        "wrapped: spans on demand, fmt, global info" => {
            let info = fmt::layer().with_filter(LevelFilter::INFO);
            let wrapped = profiler.wrap(registry().with(env("info")).with(info));
            wrapped.with_spans_on_demand().init();
        }
        "wrapped: spans on demand, fmt prints queries" => {
            let queries = fmt().with_env_filter("info,sqlx::query=debug").finish();
            profiler.wrap(queries).with_spans_on_demand().init();
        }
        other => panic!("no set-up {other}"),
    }
}

async fn verify(set_up: &str, profiler: &Profiler) -> Result<(), ProfileError> {
    profiler.verify()?;
    let silent = SqliteConnectOptions::new()
        .in_memory(true)
        .log_statements(LogLevel::Off);
    let pool: SqlitePool = if set_up == "statements not logged" {
        SqlitePool::connect_with(silent).await.unwrap()
    } else {
        pools::sqlite(1).await
    };
    profiler
        .verify_by(pool.fetch_one("SELECT 1"))
        .await?
        .unwrap();
    Ok(())
}

/// Runs in a process of its own: installs, verifies, and runs the workload on all three engines.
async fn child(set_up: &str) {
    let traced = set_up.ends_with("statements traced");
    let level = if traced { Level::TRACE } else { Level::DEBUG };
    let profiler = watching().statement_level(level).build();
    install(set_up, &profiler);
    if let Err(error) = verify(set_up, &profiler).await {
        println!("verdict {error:?}");
        return;
    }
    workload::sqlite::run(&pools::sqlite(2).await, "sqlite", REQUESTS).await;
    let [postgres, maria_db] = DATABASES.map(|name| std::env::var(name).unwrap());
    workload::postgres::run(&pools::open(&postgres, 2).await, "postgres", REQUESTS).await;
    workload::maria_db::run(&pools::open(&maria_db, 2).await, "maria_db", REQUESTS).await;
    assert!(profiler.settled(LIMIT).await);
    println!(
        "verdict {:?}",
        ["sqlite", "postgres", "maria_db"].map(tally)
    );
}

fn spawn(test: &str, set_up: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "--nocapture", test])
        .env(SET_UP, set_up);
    child
}

#[tokio::test]
async fn every_query_is_seen_under_every_set_up_that_passes_verification() {
    if let Ok(set_up) = std::env::var(SET_UP) {
        return child(&set_up).await;
    }
    let postgres = PostgresServer::shared().unwrap().database().unwrap();
    let maria_db = MariaDbServer::shared().unwrap().database().unwrap();
    let test = "installation::every_query_is_seen_under_every_set_up_that_passes_verification";
    let all = 10 * REQUESTS;
    for (set_up, prints) in SEEING {
        let mut child = spawn(test, set_up);
        child
            .env(DATABASES[0], postgres.url())
            .env(DATABASES[1], maria_db.url());
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let expected = format!("verdict {:?}", [(all, 0); 3]);
        assert!(output.contains(&expected), "{set_up}: {output}");
        let printed = output.matches("db.statement").count();
        assert_eq!(
            printed > 0,
            prints,
            "{set_up}: {printed} statements printed"
        );
    }
}

#[tokio::test]
async fn what_blinds_the_profiler_has_a_name() {
    if let Ok(set_up) = std::env::var(SET_UP) {
        return child(&set_up).await;
    }
    for (set_up, error) in BLIND {
        let mut child = spawn("installation::what_blinds_the_profiler_has_a_name", set_up);
        let output = String::from_utf8(child.output().unwrap().stdout).unwrap();
        assert!(
            output.contains(&format!("verdict {error}")),
            "{set_up}: {output}"
        );
    }
}

#[test]
fn an_allocator_that_is_not_installed_has_a_name() {
    let profiler = Profiler::builder().build();
    assert_eq!(
        profiler.verify_allocator(),
        Err(ProfileError::AllocatorNotInstalled)
    );
}

//! All parts, how they start and in what order they stop.

use super::args::Args;
use super::database::{self, Database, Opened};
use super::invalidations::Invalidations;
use super::jobs;
use super::limits::Limits;
use super::relations::Relations;
use super::responses::Responses;
use super::upstream::{self, Gates};
use anyhow::{Context as _, Result};
use perfkit::breaker::{FleetMember, RedisFleet};
use perfkit::bulk::{TaskQueue, Worker};
use perfkit::core::{Clock as _, Registry, SystemClock};
use perfkit::profile::Profiler;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// What the handlers of requests work with.
pub(crate) struct Service {
    pub(crate) database: Arc<dyn Database>,
    pub(crate) relations: Relations,
    pub(crate) responses: Responses,
    pub(crate) invalidations: Invalidations,
    pub(crate) gates: Gates,
    pub(crate) jobs: TaskQueue,
    /// The rows so far of the imports under way here.
    pub(crate) imports: Mutex<HashMap<String, Arc<AtomicU64>>>,
    pub(crate) limits: Limits,
    pub(crate) profiler: Profiler,
    worker: Mutex<Option<Worker>>,
    /// Holds the data where no database was named.
    _folder: Option<TempDir>,
}

impl Service {
    /// Starts all parts.
    pub(crate) async fn start(args: &Args) -> Result<Self> {
        let registry = Registry::new();
        let folder = args.database_url.is_none().then(tempfile::tempdir);
        let folder = folder
            .transpose()
            .context("cannot make a temporary folder")?;
        let url = match (&args.database_url, &folder) {
            (Some(url), _) => url.clone(),
            (None, Some(folder)) => {
                format!("sqlite://{}/flights.db?mode=rwc", folder.path().display())
            }
            (None, None) => "sqlite::memory:".to_owned(),
        };
        let opened = database::open(&url, args, &registry).await?;
        let Opened {
            database,
            jobs,
            dialect,
        } = opened;
        let profiler = Profiler::builder()
            .name("flight_service")
            .dialect(dialect)
            .build();
        profiler.register(&registry);
        observe(&profiler)?;
        let redis = args.redis_url.as_deref();
        let responses =
            Responses::new(redis, args.window, &registry).context("cannot use Redis")?;
        let limits = Limits::new(args, &registry).context("cannot limit clients")?;
        let gates = Gates::new(upstream::serve(args.upstream_failures).await?, &registry)?;
        if let Some(url) = redis {
            let fleet = RedisFleet::new(url, "fleet:")?;
            tokio::spawn(FleetMember::new("upstream", gates.breaker().clone(), fleet).run());
        }
        let worker = jobs::work(&jobs, Arc::clone(&database), args.concurrency, &registry)?;
        Ok(Self {
            relations: Relations::new(Arc::clone(&database), &registry)?,
            invalidations: Invalidations::start(responses.clone()),
            database,
            responses,
            gates,
            jobs,
            imports: Mutex::default(),
            limits,
            profiler,
            worker: Mutex::new(Some(worker)),
            _folder: folder,
        })
    }

    /// Ends what is under way: jobs first, then what other instances must still be told, then the connections.
    pub(crate) async fn stop(&self, grace: Duration) -> Result<()> {
        let worker = self
            .worker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(worker) = worker {
            worker.drain(grace).await?;
        }
        tokio::select! {
            () = self.invalidations.settle() => {}
            () = SystemClock.sleep(grace) => tracing::error!("other instances were not told what has changed"),
        }
        self.database.close(grace).await;
        Ok(())
    }
}

/// Hands sqlx's events to the profiler, and warnings to whoever watches standard error.
fn observe(profiler: &Profiler) -> Result<()> {
    // Postgres warns of each ROLLBACK without a transaction, with which a pool cleans connections.
    let warnings = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("sqlx::postgres::notice", LevelFilter::ERROR);
    let log = fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(profiler.sql_layer())
        .with(log.with_filter(warnings))
        .init();
    profiler.verify()?;
    Ok(())
}

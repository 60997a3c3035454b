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
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use perfkit::breaker::{FleetMember, RedisFleet};
use perfkit::bulk::{TaskQueue, Worker};
use perfkit::core::{Clock as _, Registry, SystemClock};
use perfkit::endpoints::Endpoints;
use perfkit::profile::{Advisor, Measure, Objective, Profiler, SloMonitor};
use perfkit::settings::SecretUrl;
use sha2::{Digest as _, Sha256};
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
    pub(crate) limits: Option<Arc<Limits>>,
    pub(crate) profiler: Profiler,
    pub(crate) monitor: SloMonitor,
    pub(crate) endpoints: Endpoints,
    worker: Mutex<Option<Worker>>,
    /// Holds the data where no database was named.
    _folder: Option<TempDir>,
}

impl Service {
    /// Starts all parts.
    pub(crate) async fn start(args: &Args) -> Result<Self> {
        let settings = args.settings()?;
        let registry = Registry::new();
        let (url, folder) = match &settings.database.url {
            Some(url) => (url.expose().to_owned(), None),
            None => {
                let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
                let file = folder.path().join("flights.db");
                let url = format!("sqlite://{}?mode=rwc", file.display());
                (url, Some(folder))
            }
        };
        let opened = database::open(&url, args, &settings, &registry).await?;
        let Opened {
            database,
            jobs,
            advisor,
            dialect,
        } = opened;
        let profiler = settings.performance.profiler().name("flight_service");
        let profiler = profiler.dialect(dialect).build();
        profiler.register(&registry);
        observe(&profiler)?;
        let monitor = monitor(&registry)?;

        let redis = settings.redis.url.as_ref().map(SecretUrl::expose);
        let responses = Responses::new(&settings.cache, redis, args.window, &registry)
            .context("cannot use Redis")?;
        let quota = match &args.rate_limit {
            Some(quota) => Some(quota.clone()),
            None => settings.rate_limit.quota()?,
        };
        let clients = settings.rate_limit.max_clients;
        let limits = quota
            .map(|quota| Limits::new(&quota, clients, redis, args.instances, &registry))
            .transpose()
            .context("cannot limit clients")?;
        let gates = Gates::new(upstream::serve(args.upstream_failures).await?, &registry)?;
        if let Some(url) = redis {
            let fleet = RedisFleet::new(url, "fleet:")?;
            tokio::spawn(FleetMember::new("upstream", gates.breaker().clone(), fleet).run());
        }
        let endpoints = endpoints(&registry, &profiler, &responses, args);
        tokio::spawn(advise(endpoints.clone(), advisor, args.advise_every));
        let concurrency = settings.performance.async_worker_count;
        let worker = jobs::work(&jobs, Arc::clone(&database), concurrency, &registry)?;
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
            monitor,
            endpoints,
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

/// Shows the parts; operators who know their token may act on some.
fn endpoints(
    registry: &Registry,
    profiler: &Profiler,
    responses: &Responses,
    args: &Args,
) -> Endpoints {
    let endpoints = Endpoints::builder(registry)
        .profiler(profiler)
        .requires("pool", "flights")
        .cache(&responses.cache);
    let endpoints = match &args.operator_token {
        Some(token) => {
            // How long a comparison of digests takes tells nothing of the token.
            let expected = Sha256::digest(format!("Bearer {token}"));
            let is_operator = move |head: &Parts| {
                let told = head.headers.get(AUTHORIZATION);
                told.is_some_and(|told| Sha256::digest(told) == expected)
            };
            endpoints.actions(is_operator).build()
        }
        None => endpoints.build(),
    };
    let recording = endpoints.clone();
    tokio::spawn(async move { recording.record().await });
    endpoints
}

/// Shows which indexes are missing for what takes longest, for ever.
async fn advise(endpoints: Endpoints, advisor: Advisor, pause: Duration) {
    loop {
        SystemClock.sleep(pause).await;
        endpoints.advise(&advisor).await;
    }
}

/// Judges the service by what its clients see.
fn monitor(registry: &Registry) -> Result<SloMonitor> {
    let objectives = [
        Objective::at_most("latency_p99_seconds", Measure::Latency(0.99), 0.5, 5.0)?,
        Objective::at_most("error_rate", Measure::ErrorRate, 0.01, 0.5)?,
    ];
    let monitor = SloMonitor::builder("clients")
        .objectives(objectives)
        .build();
    monitor.register(registry);
    let judging = monitor.clone();
    tokio::spawn(async move { judging.run(Duration::from_secs(10)).await });
    Ok(monitor)
}

/// Hands sqlx's events to the profiler, and warnings to whoever watches standard error.
fn observe(profiler: &Profiler) -> Result<()> {
    // Postgres warns of each ROLLBACK without a transaction, with which a pool cleans connections.
    let warnings = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("sqlx::postgres::notice", LevelFilter::ERROR);
    let log = fmt::layer().with_writer(std::io::stderr);
    let log = tracing_subscriber::registry().with(log.with_filter(warnings));
    // Nobody counts or exports the spans of requests: those that nothing happens in need none.
    profiler.wrap(log).with_spans_on_demand().init();
    profiler.verify()?;
    Ok(())
}

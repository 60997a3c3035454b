//! A service on 27,004 real flights, with every part of Perfkit at work.
//!
//! ```text
//! cargo run --release --example flight_service
//! cargo run --release --example flight_service -- --database-url postgres://… --redis-url redis://… --instances 3
//! ```
//!
//! The first keeps its data in an SQLite file in a temporary folder and everything else in memory. The second
//! is one of several instances that share their data and jobs on Postgres, and their cached answers, limits and
//! breakers on Redis.
//!
//! | request | answer | by |
//! |---|---|---|
//! | `GET /flights?sort=-dep_delay&filter[carrier]=UA&size=50` | a page with airlines and planes | paginate, cache |
//! | `GET /flights/7` | one flight with all that belongs to it | cache |
//! | `PATCH /flights/7` `{"dep_delay": 12}` | the changed flight | cache |
//! | `GET /flights/7/gate` | what a flaky upstream says | breaker, pool, cache |
//! | `GET /carriers` | figures of each airline | cache |
//! | `GET /export/flights.ndjson.gz` | all flights, resumable | paginate |
//! | `PUT /imports/NAME` | rows written from lines of JSON, once a name | bulk |
//! | `GET /imports/NAME` | how far that is | bulk |
//! | `POST /jobs` `{"carrier": "UA"}` | the id of a report that is computed later | bulk |
//! | `GET /jobs/ID` | its state and result | bulk, pool |
//! | `GET /naive/flights`, `GET /naive/carriers` | the same as first written, to compare with | |
//!
//! Each client, told by `x-api-key` or its address, is held to a rate. On SIGTERM the service answers what it has
//! accepted, finishes the jobs under way and leaves the others to the next start.

mod args;
mod data;
mod database;
mod failure;
mod invalidations;
mod jobs;
mod limits;
mod relations;
mod responses;
mod routes;
mod seed;
mod service;
mod signals;
mod upstream;

use anyhow::{Context as _, Result};
use args::Args;
use perfkit::core::{Clock as _, SystemClock};
use service::Service;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long requests and jobs that are under way may take to end.
const GRACE: Duration = Duration::from_secs(30);

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let outcome = match Args::read() {
        Ok(Some(args)) => run(args).await,
        Ok(None) => Ok(()),
        Err(refused) => Err(refused),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flight_service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let stopping = signals::stopping()?;
    let service = Arc::new(Service::start(&args).await?);
    println!("listening on http://{}", listener.local_addr()?);
    let router = routes::router(&service).into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, router);
    let serve = serve.with_graceful_shutdown(signals::told(stopping.clone()));
    let overdue = async {
        signals::told(stopping).await;
        SystemClock.sleep(GRACE).await;
    };
    tokio::select! {
        served = serve.into_future() => served?,
        () = overdue => tracing::warn!("some requests took too long and were broken off"),
    }
    service.stop(GRACE).await
}

//! The flight service as a whole: what it gains over its naive variant, what everything on costs, and whether our load
//! generator measures what another one does.
//!
//! Servers are processes of their own: this program, started again.

// The very service of the examples, so that what is measured is what is shown.
#[path = "../../../../examples/flight_service/main.rs"]
mod flight_service;
mod gain;
mod generator;
mod layers;
mod overhead;
mod server;

use criterion::{Criterion, criterion_group};
use std::process::ExitCode;

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = gain::on_sqlite, gain::on_postgres, overhead::of_all, overhead::of_each, generator::against_wrk
);

fn main() -> ExitCode {
    match server::asked_for().as_deref() {
        Some(server::FLIGHTS) => flight_service::main(),
        Some(layers) => layers::serve(layers),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
            ExitCode::SUCCESS
        }
    }
}

/// Whether an answer's throughput or its slowest hundredth is asked for.
fn is_wanted(id: &str) -> bool {
    harness::is_wanted(id) || harness::is_wanted(&server::p99(id))
}

//! The flight service as a whole: what it gains over its naive variant, what everything on costs, and whether our load
//! generator measures what another one does.
//!
//! Servers are processes of their own: this program, started again.

// The very service of the examples, so that what is measured is what is shown.
#[path = "../../../../examples/flight_service/main.rs"]
mod flight_service;
mod gain;
mod generator;
mod overhead;
mod server;

use criterion::{Criterion, criterion_group};
use std::process::ExitCode;

criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = gain::on_sqlite, gain::on_postgres, overhead::everything_on, generator::against_wrk
);

fn main() -> ExitCode {
    match server::asked_for().as_deref() {
        Some("bare") => server::bare(),
        Some(_) => flight_service::main(),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
            ExitCode::SUCCESS
        }
    }
}

/// Whether the process was started by `cargo bench`, not by `cargo test` to see that it runs, and whether
/// one of `ids` is asked for.
fn is_wanted(ids: &[&str]) -> bool {
    let mut measuring = false;
    let mut filter = None;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" => measuring = true,
            flag if flag.starts_with("--") => {}
            _ => filter = Some(argument),
        }
    }
    measuring && filter.is_none_or(|filter| ids.iter().any(|id| id.contains(&filter)))
}

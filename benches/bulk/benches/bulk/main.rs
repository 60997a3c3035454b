//! perf-bulk beside its peers: flights into SQLite, Postgres and MariaDB, storms of loads and items, and tasks.

/// The median time of something done over and over in one task, in nanoseconds; what is done says whether its
/// answer is right.
macro_rules! median {
    ($rounds:expr, $item:ident => $done:expr) => {{
        let mut times = Vec::new();
        for $item in 0..$rounds {
            let start = std::time::Instant::now();
            assert!($done);
            times.push(start.elapsed().as_nanos());
        }
        times.sort_unstable();
        times[times.len() / 2] as f64
    }};
}
use median;

mod auto;
mod batcher;
mod ids;
mod loader;
mod mariadb;
mod postgres;
mod row;
mod sqlite;
mod tasks;
mod tcp;

criterion::criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = sqlite::insert, postgres::insert, mariadb::insert, ids::insert, auto::ways, tcp::stalls,
        loader::ten_thousand_loads, loader::spawned, loader::idle, batcher::throughput, batcher::idle, tasks::noop
);
criterion::criterion_main!(benches);

//! perf-bulk beside its peers: flights into SQLite and Postgres, and a storm of loads.

mod loader;
mod postgres;
mod row;
mod sqlite;

criterion::criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = sqlite::insert, postgres::insert, loader::ten_thousand_loads
);
criterion::criterion_main!(benches);

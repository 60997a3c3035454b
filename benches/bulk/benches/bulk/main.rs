//! perf-bulk beside its peers: flights into SQLite, Postgres and MariaDB, and a storm of loads.

mod auto;
mod ids;
mod loader;
mod mariadb;
mod postgres;
mod row;
mod sqlite;
mod tcp;

criterion::criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = sqlite::insert, postgres::insert, mariadb::insert, ids::insert, auto::ways, tcp::stalls, loader::ten_thousand_loads
);
criterion::criterion_main!(benches);

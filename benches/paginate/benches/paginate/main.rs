//! perf-paginate beside its peers: what a page reads, what it costs to write its SQL, to sign its cursor, to fetch it, and
//! to export all.

mod build;
mod cursor;
mod examined;
mod export;
mod page;
mod sea;
mod table;

criterion::criterion_group!(
    name = benches;
    config = harness::criterion();
    targets = examined::three_columns, examined::depth, build::warm, cursor::sign_verify, page::sqlite, page::postgres, export::all
);
criterion::criterion_main!(benches);

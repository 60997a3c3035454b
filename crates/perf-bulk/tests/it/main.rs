//! What callers rely on, one module per theme.

mod atomicity;
mod batcher;
mod cancellation;
mod derive;
mod engines;
mod insert;
mod loader;
mod mysql;
mod postgres;
mod sink;
mod support;
mod tasks;
mod upsert;
mod values;

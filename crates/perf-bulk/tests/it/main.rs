//! What callers rely on, one module per theme.

mod atomicity;
mod cancellation;
mod derive;
mod engines;
mod insert;
mod loader;
mod postgres;
mod support;
mod upsert;
mod values;

//! The behaviour that users rely on, one module per theme.

mod conformance;
mod cursors;
mod derive;
mod requests;
mod rows;
mod sqlite;

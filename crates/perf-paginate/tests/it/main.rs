//! The behaviour that users rely on, one module per theme.

mod chaos;
mod conformance;
mod cursors;
mod derive;
mod http;
mod kinds;
mod requests;
mod rows;
mod sqlite;
mod statements;
mod text;
mod work;

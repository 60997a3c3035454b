//! The behaviour that users rely on, one module per theme.

mod chaos;
mod conformance;
mod cursors;
mod derive;
mod kinds;
mod requests;
mod rows;
mod sqlite;
mod text;
mod work;

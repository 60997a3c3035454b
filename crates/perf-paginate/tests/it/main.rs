//! The behaviour that users rely on, one module per theme.

mod cursors;
mod derive;
mod differential;
mod oracle;
mod requests;
mod rows;
mod sqlite;

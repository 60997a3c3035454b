//! The behaviour that users rely on, one module per theme.

mod advice;
mod aggregates;
mod arriving;
mod cached;
mod chaos;
mod conformance;
mod counters;
mod cursors;
mod derive;
mod export;
mod forgery;
mod http;
mod kinds;
mod merged;
mod openapi;
mod records;
mod relations;
mod requests;
mod rows;
mod sqlite;
mod statements;
mod text;
mod work;

//! What users rely on, one module per theme.

mod attribution;
mod baseline;
mod executor;
mod findings;
mod fingerprint;
mod functions;
mod health;
mod http;
mod installation;
mod lines;
mod load;
mod plans;
mod profile;
mod report;
mod runtime;
mod soak;
mod support;
mod timing;
mod ui;

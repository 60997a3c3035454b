//! What users rely on, one module per theme.

mod attribution;
mod baseline;
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
mod soak;
mod support;
mod timing;

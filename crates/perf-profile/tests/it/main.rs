//! What users rely on, one module per theme.

mod attribution;
mod executor;
mod findings;
mod fingerprint;
mod functions;
mod installation;
mod lines;
mod profile;
mod report;
mod runtime;
mod soak;
mod support;
mod timing;

//! What users rely on, one module per theme.

mod attribution;
mod findings;
mod fingerprint;
mod functions;
mod installation;
mod lines;
mod profile;
mod report;
mod soak;
mod support;
mod timing;

//! What users rely on, one module per theme.

mod attribution;
mod findings;
mod fingerprint;
mod functions;
mod installation;
mod profile;
mod report;
mod soak;
mod support;
mod timing;

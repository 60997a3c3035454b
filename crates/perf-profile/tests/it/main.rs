//! What users rely on, one module per theme.

mod attribution;
mod fingerprint;
mod functions;
mod installation;
mod n_plus_one;
mod profile;
mod report;
mod support;

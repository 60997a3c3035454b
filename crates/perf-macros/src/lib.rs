//! Attribute and derive macros of the perf-* crates.

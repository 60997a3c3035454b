//! Tests of the umbrella: settings, endpoints, the page, and the macros through its paths.

mod endpoints;
mod metrics;
mod parts;
mod settings;

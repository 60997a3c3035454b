//! Tests of the umbrella: settings, endpoints, the page, and the macros through its paths.

mod advice;
mod browser;
mod demo;
mod endpoints;
mod macros;
mod metrics;
mod page;
mod parts;
mod settings;

//! The program as its users run it.

mod databases;
mod http;
mod stall;
mod suite;
mod support;

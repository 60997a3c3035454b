//! The flight service from outside: alone on SQLite, three of it on Postgres and Redis, and with bad input.

mod alone;
mod client;
mod fleet;
mod instance;
mod leaving;
mod operators;
mod refusals;

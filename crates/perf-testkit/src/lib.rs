#![doc = include_str!("../README.md")]

pub mod allocations;
mod error;
pub mod server;

pub use error::Error;
pub use server::{Database, MariaDbServer, PostgresServer, RedisCluster, RedisServer};

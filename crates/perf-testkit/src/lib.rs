#![doc = include_str!("../README.md")]

pub mod allocations;
mod error;
mod port;
pub mod proxy;
pub mod server;

pub use error::Error;
pub use proxy::{FaultProxy, Faults};
pub use server::{Database, MariaDbServer, PostgresServer, RedisCluster, RedisServer};

#![doc = include_str!("../README.md")]

pub mod allocations;
pub mod cancellation;
mod error;
pub mod flights;
mod port;
pub mod proxy;
pub mod server;

pub use cancellation::{DropPoint, cancel_at_every_poll};
pub use error::Error;
pub use flights::FlightData;
pub use proxy::{FaultProxy, Faults};
pub use server::{
    Database, MariaDbServer, PostgresServer, RedisCluster, RedisSentinel, RedisServer,
};

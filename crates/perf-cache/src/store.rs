//! Where entries are kept.
//!
//! A [`LocalStore`] holds values in this process and is asked on every read, so it is called directly
//! and synchronously. [`QuickStore`] is the default.
//!
//! A [`RemoteStore`] holds bytes that processes share, behind every near miss. [`MemoryStore`] is one
//! for tests.

#[cfg(feature = "breaker")]
mod breaker;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod info;
mod local;
mod memory;
#[cfg(feature = "moka")]
mod moka;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod quick;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod remote;
#[cfg(feature = "redis-sentinel")]
mod sentinel;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "breaker")]
pub use self::breaker::BreakerStore;
#[cfg(feature = "moka")]
pub use self::moka::MokaStore;
#[cfg(feature = "mysql")]
pub use self::mysql::MySqlStore;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
#[cfg(feature = "redis-sentinel")]
pub use self::sentinel::RedisSentinelStore;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub use crate::pattern::Pattern;
#[cfg(feature = "redis-cluster")]
pub use cluster::RedisClusterStore;
pub use info::StoreInfo;
pub use local::{Capacity, Displaced, LocalStore, Weigher};
pub use memory::MemoryStore;
pub use quick::QuickStore;
pub use remote::{
    Lease, LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError, Watch,
};

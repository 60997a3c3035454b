//! Where entries are kept.
//!
//! A [`LocalStore`] holds values in this process and is asked on every read, so it is called directly
//! and synchronously. [`QuickStore`] is the default.
//!
//! A [`RemoteStore`] holds bytes that processes share, behind every near miss. [`MemoryStore`] is one
//! for tests.

#[cfg(feature = "redis-cluster")]
mod cluster;
mod info;
mod local;
mod memory;
#[cfg(feature = "moka")]
mod moka;
mod quick;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod remote;

#[cfg(feature = "moka")]
pub use self::moka::MokaStore;
#[cfg(feature = "redis")]
pub use self::redis::RedisStore;
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

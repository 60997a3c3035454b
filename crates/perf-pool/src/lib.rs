#![doc = include_str!("../README.md")]

mod acquire;
mod builder;
mod errand;
mod error;
#[cfg(not(loom))]
mod exchange;
#[cfg(loom)]
pub mod exchange;
mod health;
mod holder;
mod inspect;
mod keeper;
mod lazy;
mod manager;
mod object_pool;
mod pool;
mod pooled;
mod roster;
mod seat;
mod shared;
mod status;
mod sync;

pub use acquire::Acquire;
pub use builder::PoolBuilder;
pub use error::{Elapsed, Phase, PoolError};
pub use health::CloseReason;
pub use holder::Holder;
pub use lazy::{AsyncLazy, LazyError};
#[cfg(feature = "mysql")]
pub use manager::MySqlManager;
#[cfg(feature = "postgres")]
pub use manager::PostgresManager;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use manager::SqlManager;
#[cfg(feature = "sqlite")]
pub use manager::SqliteManager;
pub use manager::{Fate, FromFn, Manager, from_fn};
pub use object_pool::{Loan, ObjectPool};
pub use pool::Pool;
pub use pooled::{Meta, Pooled};
pub use status::{Metrics, Status};

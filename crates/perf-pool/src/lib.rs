#![doc = include_str!("../README.md")]

mod acquire;
mod autoscale;
mod budget;
mod builder;
mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod errand;
mod error;
#[cfg(not(loom))]
mod exchange;
#[cfg(loom)]
pub mod exchange;
mod health;
mod holder;
mod inspect;
mod jobs;
mod keeper;
mod keyed;
mod lazy;
mod manager;
#[cfg(not(loom))]
mod object_pool;
#[cfg(loom)]
pub mod object_pool;
mod pool;
mod pooled;
mod roster;
mod seat;
mod shared;
mod shared_pool;
mod sizing;
mod status;
mod sync;

pub use acquire::Acquire;
pub use autoscale::Autoscale;
pub use budget::Budget;
pub use builder::PoolBuilder;
pub use config::{PoolSettings, SettingsError, WrongSetting};
pub use error::{Elapsed, JobError, Phase, PoolError};
pub use health::CloseReason;
pub use holder::Holder;
#[cfg(feature = "rayon")]
pub use jobs::CpuPool;
pub use jobs::{BlockingPool, JobFigures, WorkerPool};
pub use keyed::KeyedPool;
pub use lazy::{AsyncLazy, LazyError};
#[cfg(feature = "mysql")]
pub use manager::MySqlManager;
#[cfg(feature = "postgres")]
pub use manager::PostgresManager;
#[cfg(feature = "redis")]
pub use manager::RedisManager;
#[cfg(feature = "sqlite")]
pub use manager::SqliteManager;
pub use manager::{Fate, FromFn, Manager, from_fn};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use manager::{SqlManager, harden};
pub use object_pool::{Loan, ObjectPool};
pub use pool::Pool;
pub use pooled::{Meta, Pooled};
pub use shared_pool::{Share, SharedPool, SharedPoolBuilder};
pub use sizing::{Advice, Load};
pub use status::{Metrics, Status};

/// Compiles the code of the chapter on this crate.
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../../../docs/guide/pool.md")]
struct Guide;

//! What a pool must know about the resources it holds.

mod closures;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod harden;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use perf_core::Transience;
use std::error::Error;
use std::future::{Future, ready};

pub use closures::{FromFn, from_fn};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use harden::harden;
#[cfg(feature = "mysql")]
pub use mysql::MySqlManager;
#[cfg(feature = "postgres")]
pub use postgres::PostgresManager;
#[cfg(feature = "redis")]
pub use redis::RedisManager;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub use sql::SqlManager;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteManager;

/// Creates, checks, cleans and closes the resources of one pool.
///
/// Only [`create`](Manager::create) must be written. Every asynchronous method runs in a task of the
/// pool and under a limit of its own, never inside the future of somebody who waits: when that one is
/// dropped, the work goes on for the next. A method whose limit passes is dropped and its resource with
/// it.
///
/// ```
/// use perf_pool::{Manager, Pool};
/// use std::convert::Infallible;
///
/// struct Parsers;
///
/// impl Manager for Parsers {
///     type Resource = Vec<u8>;
///     type Error = Infallible;
///
///     async fn create(&self) -> Result<Vec<u8>, Infallible> {
///         Ok(Vec::with_capacity(4096))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(Parsers).max_size(2).build()?;
/// let mut buffer = pool.acquire().await?;
/// buffer.extend_from_slice(b"hello");
/// assert_eq!(buffer.len(), 5);
/// # Ok(())
/// # }
/// ```
pub trait Manager: Send + Sync + 'static {
    /// What is pooled.
    type Resource: Send + 'static;
    /// Why creating, checking or cleaning fails.
    type Error: Error + Send + Sync + 'static;

    /// Whether mutable access to the resource leaves it clean. Where it may not, as with a connection
    /// on which any statement can be abandoned half-way, every guard that was borrowed mutably goes
    /// through [`Manager::reset`] before the next holder.
    const CLEAN_AFTER_ACCESS: bool = true;

    /// Makes a new resource.
    fn create(&self) -> impl Future<Output = Result<Self::Resource, Self::Error>> + Send;

    /// Finds out whether a resource that was idle for a while still works.
    fn check(
        &self,
        resource: &mut Self::Resource,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _untouched = resource;
        ready(Ok(()))
    }

    /// Cleans a tainted resource, or gives it up.
    fn reset(
        &self,
        resource: &mut Self::Resource,
    ) -> impl Future<Output = Result<Fate, Self::Error>> + Send {
        let _untouched = resource;
        ready(Ok(Fate::Discard))
    }

    /// Whether a returned resource is known to be useless. Called when a guard is dropped, so it must
    /// neither block nor perform I/O.
    fn is_broken(&self, resource: &mut Self::Resource) -> bool {
        let _untouched = resource;
        false
    }

    /// Ends a healthy resource politely. One that is broken is dropped instead.
    fn close(&self, resource: Self::Resource) -> impl Future<Output = ()> + Send {
        drop(resource);
        ready(())
    }

    /// Whether trying to create again may help. A permanent failure reaches everybody who waits at
    /// once, unless the pool has other resources that may be returned to them; a transient one is retried
    /// until their deadlines pass.
    fn classify(&self, error: &Self::Error) -> Transience {
        let _unread = error;
        Transience::Transient
    }
}

/// What is to become of a resource after [`Manager::reset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is clean; somebody else may have it.
    Keep,
    /// It is dropped.
    Discard,
}

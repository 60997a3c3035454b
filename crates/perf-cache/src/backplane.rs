//! The way by which processes tell each other what they have invalidated.
//!
//! A [`Backplane`] carries bytes to whoever listens at the time and may lose any of them. What makes that
//! safe (numbers, heartbeats, doubt) stands above it, in [`Coherence`](crate::Coherence).
//! [`MemoryBackplane`] joins the caches of one process, for tests.

mod memory;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use self::redis::RedisBackplane;
use crate::store::StoreError;
use async_trait::async_trait;
pub use memory::MemoryBackplane;
use std::fmt;

/// A way to tell other processes.
#[async_trait]
pub trait Backplane: fmt::Debug + Send + Sync + 'static {
    /// Sends `message` to everyone who listens to `channel`, the sender included.
    ///
    /// # Errors
    ///
    /// When it may not have been sent.
    ///
    /// # Cancel safety
    ///
    /// It may or may not have been sent.
    async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError>;

    /// Listens to `channel`. What is sent after it returned arrives, in each sender's order, unless it is
    /// lost.
    ///
    /// # Errors
    ///
    /// When it cannot be listened to.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    async fn subscribe(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError>;
}

/// A channel that is listened to, until it is dropped.
#[async_trait]
pub trait Subscription: Send {
    /// The next message; none when the connection is lost, and nothing more will come.
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    async fn next(&mut self) -> Option<Vec<u8>>;
}

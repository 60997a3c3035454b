use super::{Backplane, Subscription};
use crate::store::StoreError;
use crate::store::redis::{LIMIT, client, connection, judge};
use async_trait::async_trait;
use futures_core::Stream;
use perf_core::Transience;
use redis::aio::{ConnectionManager, PubSubStream};
use redis::{Client, cmd};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

/// A backplane on Redis publish and subscribe.
///
/// Redis keeps no message for a listener that is away, and drops one that reads too slowly. Listening
/// takes a connection of its own for each cache. In a cluster, give it the URL of any node.
#[derive(Clone)]
pub struct RedisBackplane {
    client: Client,
    connection: ConnectionManager,
}

impl RedisBackplane {
    /// A backplane at `url` (`redis://host:port/db`), connected when it is first used.
    ///
    /// # Errors
    ///
    /// When the URL is none of Redis.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connection lives.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let client = client(url)?;
        let connection = connection(client.clone())?;
        Ok(Self { client, connection })
    }
}

#[async_trait]
impl Backplane for RedisBackplane {
    async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        let mut command = cmd("PUBLISH");
        command.arg(channel).arg(message);
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(judge)
    }

    async fn subscribe(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError> {
        let subscribe = async {
            let mut listener = self.client.get_async_pubsub().await?;
            listener.subscribe(channel).await?;
            Ok(listener.into_on_message())
        };
        // The driver sets no limit of its own here.
        let listener = tokio::time::timeout(LIMIT, subscribe).await;
        let listener = listener.map_err(|late| StoreError::new(late, Transience::Transient))?;
        Ok(Box::new(Listener(listener.map_err(judge)?)))
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane").finish_non_exhaustive()
    }
}

struct Listener(PubSubStream);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> Option<Vec<u8>> {
        let message = poll_fn(|context| Pin::new(&mut self.0).poll_next(context)).await?;
        Some(message.get_payload_bytes().to_vec())
    }
}

use super::{Backplane, Subscription};
use crate::store::StoreError;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::broadcast;

/// A backplane in this process, for tests. Clones share it.
///
/// A listener that falls 4,096 messages behind loses its connection.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackplane {
    channels: Arc<Mutex<HashMap<String, Channel>>>,
}

type Channel = broadcast::Sender<Arc<[u8]>>;

const BACKLOG: usize = 4_096;

impl MemoryBackplane {
    /// A backplane that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn channel(&self, name: &str) -> Channel {
        let mut channels = self.channels.lock();
        let channel = channels.entry(name.to_owned());
        channel
            .or_insert_with(|| broadcast::Sender::new(BACKLOG))
            .clone()
    }
}

#[async_trait]
impl Backplane for MemoryBackplane {
    async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), StoreError> {
        // The only failure is that nobody listens.
        let _listeners = self.channel(channel).send(message.into());
        Ok(())
    }

    async fn subscribe(&self, channel: &str) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(Listener(self.channel(channel).subscribe())))
    }
}

struct Listener(broadcast::Receiver<Arc<[u8]>>);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await.ok().map(|message| message.to_vec())
    }
}

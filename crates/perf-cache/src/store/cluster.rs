use super::redis::{
    LEASE, LIMIT, RedisStore, all_generations, is_one, judge, millis, read_command, reading,
    set_generation,
};
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use super::{Pattern, StoreInfo};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{Cmd, FromRedisValue, Value, cmd};
use std::fmt;
use std::time::Duration;

/// A far store on a Redis Cluster.
///
/// A read of a value and its tags is one round trip to each node that holds one of them, at once. What
/// a single server does in one step for several keys is done key by key, which the cache's
/// protocol does not mind.
#[derive(Clone)]
pub struct RedisClusterStore {
    connection: ClusterConnection,
    /// The masters one by one, for what concerns the whole of each.
    nodes: Vec<RedisStore>,
}

/// The place of the node in the position of a walk. A cursor of Redis has fewer bits than the table of a
/// node's keys has entries.
const NODE_SHIFT: u32 = 48;

/// Replaces or removes the lease if it still lies there. Nobody is told: a cluster would carry the word to all
/// its nodes.
const SETTLE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV == 1 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1";

impl RedisClusterStore {
    /// A store on the cluster whose masters have these URLs. Reads and writes find nodes that are not among
    /// them by themselves; walks over all keys do not.
    ///
    /// # Errors
    ///
    /// When a URL is none of Redis, or no node answers.
    ///
    /// # Cancel safety
    ///
    /// Nothing has happened.
    pub async fn connect(urls: &[impl AsRef<str> + Sync]) -> Result<Self, StoreError> {
        let nodes = urls.iter().map(|url| RedisStore::new(url.as_ref()));
        let nodes = nodes.collect::<Result<_, _>>()?;
        let client = ClusterClient::builder(urls.iter().map(|url| url.as_ref()))
            .connection_timeout(LIMIT)
            .response_timeout(LIMIT)
            // An answer of a few bytes must not wait for a full segment.
            .tcp_settings(TcpSettings::default().set_nodelay(true))
            .build()
            .map_err(judge)?;
        let connection = client.get_async_connection().await.map_err(judge)?;
        Ok(Self { connection, nodes })
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(judge)
    }

    /// Asks for all at once.
    async fn ask_each<T: FromRedisValue>(
        &self,
        commands: impl Iterator<Item = Cmd>,
    ) -> Result<Vec<T>, StoreError> {
        let commands: Vec<Cmd> = commands.collect();
        try_join_all(commands.iter().map(|command| self.ask(command))).await
    }
}

#[async_trait]
impl RemoteStore for RedisClusterStore {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        let Some(command) = read_command(keys, tags) else {
            return Ok(Reading::default());
        };
        Ok(reading(self.ask(&command).await?, keys.len()))
    }

    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let last = bytes.saturating_sub(1);
        let commands = keys.iter().map(|key| {
            let mut command = cmd("GETRANGE");
            command.arg(key).arg(0).arg(last);
            command
        });
        self.ask_each(commands).await
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        // The generations first: they are those from before whatever the holder of the lease then reads.
        let generations = self.generations(tags).await?;
        let commands = requests.iter().map(|request| {
            let mut command = script(LEASE, request.key);
            command
                .arg(&request.lease[..])
                .arg(request.replacing)
                .arg(millis(hold));
            command
        });
        let replies: Vec<Value> = self.ask_each(commands).await?;
        let granted = replies.into_iter().map(is_one);
        Ok(Leased {
            granted: granted.collect::<Result<_, _>>()?,
            generations,
        })
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        let commands = settlements.iter().map(|settlement| {
            let mut command = script(SETTLE, settlement.key);
            command.arg(&settlement.lease[..]);
            if let Some((value, ttl)) = settlement.value {
                command.arg(value).arg(millis(ttl));
            }
            command
        });
        let replies: Vec<Value> = self.ask_each(commands).await?;
        replies.into_iter().map(is_one).collect()
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        command.arg(key).arg(value).arg("PX").arg(millis(ttl));
        self.ask(&command).await
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(()); // Redis refuses to remove nothing.
        }
        let mut command = cmd("UNLINK");
        command.arg(keys);
        self.ask(&command).await
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        if tags.is_empty() {
            return Ok(Vec::new()); // Redis refuses to read nothing.
        }
        let commands = tags.iter().map(|(tag, fresh)| {
            let mut command = set_generation(tag, *fresh);
            command.arg("NX");
            command
        });
        let _created: Vec<Value> = self.ask_each(commands).await?;
        let mut command = cmd("MGET");
        for (tag, _) in tags {
            command.arg(tag);
        }
        let numbers: Vec<Option<Vec<u8>>> = self.ask(&command).await?;
        Ok(all_generations(&numbers))
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        let commands = tags
            .iter()
            .map(|(tag, number)| set_generation(tag, *number));
        let _renewed: Vec<Value> = self.ask_each(commands).await?;
        Ok(())
    }

    async fn scan(&self, pattern: &Pattern, position: u64) -> Result<Scanned, StoreError> {
        let number = usize::try_from(position >> NODE_SHIFT).unwrap_or(usize::MAX);
        let Some(node) = self.nodes.get(number) else {
            return Ok(Scanned::default());
        };
        let cursor = position & ((1 << NODE_SHIFT) - 1);
        let mut scanned = node.scan(pattern, cursor).await?;
        let node = position >> NODE_SHIFT;
        let has_next = number + 1 < self.nodes.len();
        let next_node = has_next.then_some((node + 1) << NODE_SHIFT);
        let next = scanned.next.map(|next| (node << NODE_SHIFT) | next);
        scanned.next = next.or(next_node);
        Ok(scanned)
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let infos = try_join_all(self.nodes.iter().map(RemoteStore::info)).await?;
        let sum = |figure: fn(&StoreInfo) -> Option<u64>| infos.iter().map(figure).sum();
        let kind = infos.first().map_or("redis", |info| &info.kind);
        Ok(StoreInfo {
            memory_bytes: sum(|info| info.memory_bytes),
            max_memory_bytes: sum(|info| info.max_memory_bytes),
            keys: sum(|info| info.keys),
            evicted_keys: sum(|info| info.evicted_keys),
            hits: sum(|info| info.hits),
            misses: sum(|info| info.misses),
            ..StoreInfo::new(format!("{kind}, {} nodes", infos.len()))
        })
    }
}

impl fmt::Debug for RedisClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisClusterStore").finish_non_exhaustive()
    }
}

fn script(text: &str, key: &str) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    command
}

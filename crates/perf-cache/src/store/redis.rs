use super::remote::{Lease, LeaseRequest, Reading, RemoteStore, StoreError};
use async_trait::async_trait;
use perf_core::Transience;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, IntoConnectionInfo, ParsingError, Pipeline, RedisError, Value, cmd, from_redis_value,
    pipe,
};
use std::fmt;
use std::time::Duration;

/// A far store on one Redis server (6.2 or newer), over one connection that heals itself.
///
/// A read is one `MGET`. A lease and its tags' generations are one pipeline. Generations live for eight
/// days from their last renewal; a value whose tag has none any more is a miss.
///
/// Give Redis a memory limit and an eviction policy: the cache survives the loss of any key.
#[derive(Clone)]
pub struct RedisStore {
    connection: ConnectionManager,
}

/// How long a generation lives.
const GENERATION_MS: u64 = 8 * 24 * 60 * 60 * 1_000;
/// How long a connection attempt or an answer may take. The cache's own limit is usually shorter.
const LIMIT: Duration = Duration::from_millis(500);

/// Takes the lease unless something lies there that must not be replaced. What is no string is none of
/// the cache's values.
const LEASE: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('STRLEN', KEYS[1]) > 0 then
  if #ARGV[2] == 0 then return 0 end
  if redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1";

/// Replaces or removes the lease if it still lies there.
const SETTLE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV == 1 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1";

impl RedisStore {
    /// A store at `url` (`redis://host:port/db`), connected when it is first asked.
    ///
    /// # Errors
    ///
    /// When the URL is none of Redis.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connection lives.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        // An answer of a few bytes must not wait for a full segment.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = url
            .into_connection_info()
            .map_err(judge)?
            .set_tcp_settings(tcp);
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            .set_number_of_retries(1);
        let client = Client::open(info).map_err(judge)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(judge)?;
        Ok(Self { connection })
    }

    /// A store on a connection of one's own making.
    #[must_use]
    pub const fn from_connection(connection: ConnectionManager) -> Self {
        Self { connection }
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }
}

#[async_trait]
impl RemoteStore for RedisStore {
    async fn read(&self, key: &str, tags: &[String]) -> Result<Reading, StoreError> {
        let mut connection = self.connection();
        let mut command = cmd("MGET");
        command.arg(key).arg(tags);
        let replies: Vec<Option<Vec<u8>>> =
            command.query_async(&mut connection).await.map_err(judge)?;
        let mut replies = replies.into_iter();
        Ok(Reading {
            value: replies.next().flatten(),
            generations: replies.map(|reply| generation(reply.as_deref())).collect(),
        })
    }

    async fn lease(
        &self,
        key: &str,
        request: LeaseRequest<'_>,
    ) -> Result<Option<Vec<u64>>, StoreError> {
        let mut pipeline = pipe();
        create_missing(&mut pipeline, request.tags);
        pipeline
            .cmd("EVAL")
            .arg(LEASE)
            .arg(1)
            .arg(key)
            .arg(&request.lease[..])
            .arg(request.replacing)
            .arg(millis(request.hold));
        let mut replies: Vec<Value> = pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        let granted: i64 = from_redis_value(replies.pop().unwrap_or(Value::Nil)).map_err(parse)?;
        let numbers: Vec<Option<Vec<u8>>> = match replies.pop() {
            Some(numbers) => from_redis_value(numbers).map_err(parse)?,
            None => Vec::new(),
        };
        Ok((granted == 1).then(|| all_generations(&numbers)).flatten())
    }

    async fn settle(
        &self,
        key: &str,
        lease: &Lease,
        value: Option<(&[u8], Duration)>,
    ) -> Result<bool, StoreError> {
        let mut command = cmd("EVAL");
        command.arg(SETTLE).arg(1).arg(key).arg(&lease[..]);
        if let Some((value, ttl)) = value {
            command.arg(value).arg(millis(ttl));
        }
        let settled: i64 = command
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        Ok(settled == 1)
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        command.arg(key).arg(value).arg("PX").arg(millis(ttl));
        command
            .query_async(&mut self.connection())
            .await
            .map_err(judge)
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let mut command = cmd("UNLINK");
        command.arg(key);
        command
            .query_async(&mut self.connection())
            .await
            .map_err(judge)
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        if tags.is_empty() {
            return Ok(Vec::new()); // Redis refuses a pipeline of nothing.
        }
        let mut pipeline = pipe();
        create_missing(&mut pipeline, tags);
        let replies: (Vec<Option<Vec<u8>>>,) = pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        // A generation that vanished between two commands of one pipeline is one that nobody can match.
        Ok(all_generations(&replies.0).unwrap_or_else(|| vec![0; tags.len()]))
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut pipeline = pipe();
        for (tag, number) in tags {
            let command = pipeline.cmd("SET").arg(tag).arg(&number.to_le_bytes()[..]);
            command.arg("PX").arg(GENERATION_MS).ignore();
        }
        pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// Appends commands that create what is missing and answer with all generations.
fn create_missing(pipeline: &mut Pipeline, tags: &[(String, u64)]) {
    if tags.is_empty() {
        return;
    }
    for (tag, fresh) in tags {
        let command = pipeline.cmd("SET").arg(tag).arg(&fresh.to_le_bytes()[..]);
        command.arg("NX").arg("PX").arg(GENERATION_MS).ignore();
    }
    let read = pipeline.cmd("MGET");
    for (tag, _) in tags {
        read.arg(tag);
    }
}

fn generation(bytes: Option<&[u8]>) -> Option<u64> {
    Some(u64::from_le_bytes(bytes?.try_into().ok()?))
}

fn all_generations(replies: &[Option<Vec<u8>>]) -> Option<Vec<u64>> {
    replies
        .iter()
        .map(|reply| generation(reply.as_deref()))
        .collect()
}

/// At least one: Redis refuses an expiry of zero.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX >> 1)
        .max(1)
}

fn parse(error: ParsingError) -> StoreError {
    StoreError::new(error, Transience::Permanent)
}

fn judge(error: RedisError) -> StoreError {
    let transience = match error.code() {
        Some(code) => Transience::of_redis_code(code),
        None if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
            Transience::Transient
        }
        None => Transience::Permanent,
    };
    StoreError::new(error, transience)
}

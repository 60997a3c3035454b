pub(super) mod ears;

use super::StoreInfo;
use super::remote::Watch;
use super::remote::{LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError};
use crate::pattern::Pattern;
use async_trait::async_trait;
use ears::Ears;
use perf_core::Transience;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, IntoConnectionInfo, ParsingError, Pipeline, RedisError, Value, cmd,
    from_redis_value, pipe,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A far store on one Redis server (6.2 or newer), over one connection that heals itself.
///
/// A read is one `MGET`. Who waits for another process's load is told by publish and subscribe when it ends.
/// A lease and its tags' generations are one pipeline. Generations live for eight
/// days from their last renewal; a value whose tag has none any more is a miss.
///
/// Give Redis a memory limit and an eviction policy: the cache survives the loss of any key.
#[derive(Clone)]
pub struct RedisStore<C = ConnectionManager> {
    pub(super) connection: C,
    /// None on a connection of the user's making, which tells no address.
    pub(super) ears: Option<Arc<Ears>>,
}

/// How long a generation lives.
const GENERATION_MS: u64 = 8 * 24 * 60 * 60 * 1_000;
/// How many keys Redis looks at in one step of a walk.
const SCAN_STEP: u32 = 1_000;
/// How long a connection attempt or an answer may take. The cache's own limit is usually shorter.
pub(crate) const LIMIT: Duration = Duration::from_millis(500);

/// Takes the lease unless something lies there that must not be replaced. What is no string is none of
/// the cache's values.
pub(super) const LEASE: &str = "
if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('STRLEN', KEYS[1]) > 0 then
  if #ARGV[2] == 0 then return 0 end
  if redis.call('GETRANGE', KEYS[1], 0, #ARGV[2] - 1) ~= ARGV[2] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1";

/// Replaces or removes the lease if it still lies there, and tells those who wait for that; where nobody does,
/// that costs next to nothing.
const SETTLE: &str = "
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV == 1 then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
if ARGV[1] ~= ARGV[2] then redis.call('PUBLISH', KEYS[1], '') end
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
        let client = client(url)?;
        let ears = Some(Ears::new(client.clone()));
        let connection = connection(client)?;
        Ok(Self { connection, ears })
    }

    /// A store on a connection of one's own making. Who waits for another process's load looks again now and
    /// then, and is not told.
    #[must_use]
    pub const fn from_connection(connection: ConnectionManager) -> Self {
        Self {
            connection,
            ears: None,
        }
    }
}

impl<C: Clone> RedisStore<C> {
    fn connection(&self) -> C {
        self.connection.clone()
    }
}

#[async_trait]
impl<C> RemoteStore for RedisStore<C>
where
    C: ConnectionLike + Clone + Send + Sync + 'static,
{
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        let Some(command) = read_command(keys, tags) else {
            return Ok(Reading::default());
        };
        let values = command.query_async(&mut self.connection()).await;
        Ok(reading(values.map_err(judge)?, keys.len()))
    }

    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new()); // Redis refuses a pipeline of nothing.
        }
        let mut pipeline = pipe();
        for key in keys {
            let last = bytes.saturating_sub(1);
            pipeline.cmd("GETRANGE").arg(key).arg(0).arg(last);
        }
        pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        let mut pipeline = pipe();
        create_missing(&mut pipeline, tags);
        let mut script = Script::first(LEASE);
        for request in requests {
            let command = script.call(&mut pipeline, request.key);
            command
                .arg(&request.lease[..])
                .arg(request.replacing)
                .arg(millis(hold));
        }
        if requests.len() + tags.len() == 0 {
            return Ok(Leased::default());
        }
        let mut replies: Vec<Value> = pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        let answers = replies.split_off(usize::from(!tags.is_empty()).min(replies.len()));
        let numbers: Vec<Option<Vec<u8>>> = match replies.pop() {
            Some(numbers) => from_redis_value(numbers).map_err(parse)?,
            None => Vec::new(),
        };
        Ok(Leased {
            granted: answers.into_iter().map(is_one).collect::<Result<_, _>>()?,
            generations: all_generations(&numbers),
        })
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        if settlements.is_empty() {
            return Ok(Vec::new()); // Redis refuses a pipeline of nothing.
        }
        let mut pipeline = pipe();
        let mut script = Script::first(SETTLE);
        for settlement in settlements {
            let command = script.call(&mut pipeline, settlement.key);
            command.arg(&settlement.lease[..]);
            if let Some((value, ttl)) = settlement.value {
                command.arg(value).arg(millis(ttl));
            }
        }
        let replies: Vec<Value> = pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        replies.into_iter().map(is_one).collect()
    }

    async fn watch(&self, key: &str) -> Result<Option<Watch>, StoreError> {
        match &self.ears {
            Some(ears) => ears.watch(key).await.map(Some),
            None => Ok(None),
        }
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let mut command = cmd("SET");
        command.arg(key).arg(value).arg("PX").arg(millis(ttl));
        command
            .query_async(&mut self.connection())
            .await
            .map_err(judge)
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(()); // Redis refuses to remove nothing.
        }
        let mut command = cmd("UNLINK");
        command.arg(keys);
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
        Ok(all_generations(&replies.0))
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        if tags.is_empty() {
            return Ok(());
        }
        let mut pipeline = pipe();
        for (tag, number) in tags {
            pipeline.add_command(set_generation(tag, *number)).ignore();
        }
        pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)
    }

    async fn scan(&self, pattern: &Pattern, position: u64) -> Result<Scanned, StoreError> {
        let mut command = cmd("SCAN");
        command.arg(position).arg("MATCH").arg(pattern.glob());
        command.arg("COUNT").arg(SCAN_STEP);
        let (next, keys): (u64, Vec<Vec<u8>>) = command
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        // What is no text was not written by a cache.
        let keys = keys.into_iter().flat_map(String::from_utf8);
        Ok(Scanned {
            keys: keys.collect(),
            next: (next != 0).then_some(next),
        })
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let mut pipeline = pipe();
        for section in ["server", "memory", "stats"] {
            pipeline.cmd("INFO").arg(section);
        }
        pipeline.cmd("DBSIZE");
        let (server, memory, stats, keys): (String, String, String, u64) = pipeline
            .query_async(&mut self.connection())
            .await
            .map_err(judge)?;
        let number = |section, name| field(section, name)?.parse().ok();
        let version = field(&server, "redis_version").unwrap_or_default();
        Ok(StoreInfo {
            memory_bytes: number(&memory, "used_memory"),
            max_memory_bytes: number(&memory, "maxmemory"),
            keys: Some(keys),
            evicted_keys: number(&stats, "evicted_keys"),
            hits: number(&stats, "keyspace_hits"),
            misses: number(&stats, "keyspace_misses"),
            ..StoreInfo::new(format!("redis {version}"))
        })
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// A client of the server at `url`.
pub(crate) fn client(url: &str) -> Result<Client, StoreError> {
    // An answer of a few bytes must not wait for a full segment.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = url.into_connection_info().map_err(judge)?;
    Client::open(info.set_tcp_settings(tcp)).map_err(judge)
}

/// A connection that heals itself, made when it is first used.
pub(crate) fn connection(client: Client) -> Result<ConnectionManager, StoreError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT))
        .set_number_of_retries(1);
    ConnectionManager::new_lazy_with_config(client, config).map_err(judge)
}

/// A field of an answer to `INFO`.
fn field<'a>(section: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = section.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Appends commands that create what is missing and answer with all generations.
fn create_missing(pipeline: &mut Pipeline, tags: &[(String, u64)]) {
    if tags.is_empty() {
        return;
    }
    for (tag, fresh) in tags {
        let mut create = set_generation(tag, *fresh);
        create.arg("NX");
        pipeline.add_command(create).ignore();
    }
    let read = pipeline.cmd("MGET");
    for (tag, _) in tags {
        read.arg(tag);
    }
}

pub(super) fn set_generation(tag: &str, number: u64) -> Cmd {
    let mut command = cmd("SET");
    command.arg(tag).arg(&number.to_le_bytes()[..]);
    command.arg("PX").arg(GENERATION_MS);
    command
}

/// Asks for values and generations; `None` where there is nothing to ask, which Redis refuses.
pub(super) fn read_command(keys: &[String], tags: &[String]) -> Option<Cmd> {
    let asks = keys.len() + tags.len() > 0;
    asks.then(|| {
        let names = keys.iter().chain(tags);
        let bytes = names.clone().map(String::len).sum::<usize>();
        // Room for all at once: a command grows by doubling, from nothing.
        let mut command = Cmd::with_capacity(1 + keys.len() + tags.len(), 4 + bytes);
        command.arg("MGET").arg(keys).arg(tags);
        command
    })
}

/// What the answer to [`read_command`] says, of which the first `keys` are values.
pub(super) fn reading(mut values: Vec<Option<Vec<u8>>>, keys: usize) -> Reading {
    let replies = values.split_off(keys.min(values.len()));
    let generations = replies.iter().map(|reply| generation(reply.as_deref()));
    Reading {
        generations: generations.collect(),
        values,
    }
}

pub(super) fn generation(bytes: Option<&[u8]>) -> Option<u64> {
    Some(u64::from_le_bytes(bytes?.try_into().ok()?))
}

/// One that vanished between two commands of a pipeline becomes one that nobody can match.
pub(super) fn all_generations(replies: &[Option<Vec<u8>>]) -> Vec<u64> {
    let numbers = replies.iter().map(|reply| generation(reply.as_deref()));
    numbers.map(Option::unwrap_or_default).collect()
}

pub(super) fn is_one(reply: Value) -> Result<bool, StoreError> {
    from_redis_value::<i64>(reply)
        .map(|number| number == 1)
        .map_err(parse)
}

/// A script called several times in one pipeline: the first call carries it, the others its digest.
struct Script {
    text: &'static str,
    digest: Option<String>,
}

impl Script {
    const fn first(text: &'static str) -> Self {
        Self { text, digest: None }
    }

    /// A call on `key`, whose arguments follow.
    fn call<'a>(&mut self, pipeline: &'a mut Pipeline, key: &str) -> &'a mut Pipeline {
        match &self.digest {
            Some(digest) => pipeline.cmd("EVALSHA").arg(digest),
            None => {
                let digest = redis::Script::new(self.text).get_hash().to_owned();
                self.digest = Some(digest);
                pipeline.cmd("EVAL").arg(self.text)
            }
        }
        .arg(1)
        .arg(key)
    }
}

/// At least one: Redis refuses an expiry of zero.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX >> 1)
        .max(1)
}

fn parse(error: ParsingError) -> StoreError {
    StoreError::new(error, Transience::Permanent)
}

pub(crate) fn judge(error: RedisError) -> StoreError {
    let transience = match error.code() {
        Some(code) => Transience::of_redis_code(code),
        None if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
            Transience::Transient
        }
        None => Transience::Permanent,
    };
    StoreError::new(error, transience)
}

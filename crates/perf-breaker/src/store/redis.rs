use super::{Charge, RateLimitStore, Verdict};
use crate::error::StoreError;
use async_trait::async_trait;
use perf_core::Transience;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, ErrorKind, IntoConnectionInfo, RedisError, Script, ServerErrorKind, cmd};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A store on Redis (6.2 or newer), over one connection that heals itself.
///
/// Every request is one round trip: a script that reads and moves all limits of a key on the server's
/// clock. Redis keeps the script after its first use and is sent its hash alone. All limits of a key lie in
/// one value, so that a script never leaves its cluster slot; it goes once everything has come back.
#[derive(Clone)]
pub struct RedisStore<C = ConnectionManager> {
    connection: C,
    prefix: Arc<str>,
    script: Arc<Script>,
}

/// How long a connection attempt or an answer may take. A limiter's own limit is usually shorter.
const LIMIT: Duration = Duration::from_millis(500);
/// The pause before the second of two attempts to connect.
const PAUSE: Duration = Duration::from_millis(10);

/// Arguments: what to do, then price and capacity of each limit. Answers with whether the price was
/// taken and with how much is ahead of each limit before the call, in ticks.
///
/// Ticks count from 2025, so that they fit a double exactly until 2060.
const SCRIPT: &str = "
local clock = redis.call('TIME')
local now = (clock[1] - 1735689600) * 7812500 + math.floor(clock[2] * 125 / 16)
local kept = string.gmatch(redis.call('GET', KEYS[1]) or '', '%d+')
local task, fits, latest, aheads, moved = ARGV[1], true, 0, {}, {}
for place = 2, #ARGV, 2 do
  local price, capacity = tonumber(ARGV[place]), tonumber(ARGV[place + 1])
  local arrival = math.min(math.max(tonumber(kept() or 0), now), now + capacity)
  table.insert(aheads, arrival - now)
  if arrival + price - now > capacity then fits = false end
end
if task ~= 'peek' then
  local sign = task == 'refund' and -1 or fits and 1 or 0
  for limit, ahead in ipairs(aheads) do
    local arrival = math.max(now + ahead + sign * tonumber(ARGV[2 * limit]), 0)
    latest = math.max(latest, arrival)
    table.insert(moved, string.format('%.0f', arrival))
  end
  local life = math.ceil((latest - now) * 16 / 125000)
  if life > 0 then redis.call('SET', KEYS[1], table.concat(moved, ' '), 'PX', life)
  else redis.call('DEL', KEYS[1]) end
end
return aheads";

impl RedisStore {
    /// A store at `url` (`redis://host:port/db`), connected when it is first asked. Its keys begin with
    /// `prefix`.
    ///
    /// # Errors
    ///
    /// When the URL is none of Redis.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connection lives.
    pub fn new(url: &str, prefix: &str) -> Result<Self, StoreError> {
        Ok(Self::from_connection(connect(url)?, prefix))
    }
}

impl<C> RedisStore<C> {
    /// A store on a connection of one's own making, to a cluster for instance.
    pub fn from_connection(connection: C, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.into(),
            script: Arc::new(Script::new(SCRIPT)),
        }
    }
}

impl<C: ConnectionLike + Clone + Send + Sync> RedisStore<C> {
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), key].concat()
    }

    fn command(&self, verb: &str, script: &str, key: &[u8], task: &str, charges: &[Charge]) -> Cmd {
        let mut command = cmd(verb);
        command.arg(script).arg(1).arg(self.key(key)).arg(task);
        for charge in charges {
            command.arg(charge.price).arg(charge.capacity);
        }
        command
    }

    /// Runs the script by its hash, and by its text where Redis does not know it yet, or any more.
    async fn run(
        &self,
        key: &[u8],
        task: &str,
        charges: &[Charge],
    ) -> Result<Vec<u64>, StoreError> {
        let mut connection = self.connection.clone();
        let known = self.command("EVALSHA", self.script.get_hash(), key, task, charges);
        match known.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let unknown = self.command("EVAL", SCRIPT, key, task, charges);
                unknown.query_async(&mut connection).await.map_err(judge)
            }
            reply => reply.map_err(judge),
        }
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> RateLimitStore for RedisStore<C> {
    async fn acquire(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        let aheads = self.run(key, "acquire", charges).await?;
        Ok(Verdict::of(charges, &aheads))
    }

    async fn peek(&self, key: &[u8], charges: &[Charge]) -> Result<Verdict, StoreError> {
        let aheads = self.run(key, "peek", charges).await?;
        Ok(Verdict::of(charges, &aheads).before(charges))
    }

    async fn refund(&self, key: &[u8], charges: &[Charge]) -> Result<(), StoreError> {
        self.run(key, "refund", charges).await?;
        Ok(())
    }

    async fn reset(&self, key: &[u8]) -> Result<(), StoreError> {
        let mut command = cmd("DEL");
        command.arg(self.key(key));
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(judge)
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A connection that is made when it is first used and again when it breaks.
pub(crate) fn connect(url: &str) -> Result<ConnectionManager, StoreError> {
    // An answer of a few bytes must not wait for a full segment.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = url
        .into_connection_info()
        .map_err(judge)?
        .set_tcp_settings(tcp);
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(LIMIT))
        .set_response_timeout(Some(LIMIT))
        .set_min_delay(PAUSE)
        .set_number_of_retries(1);
    let client = Client::open(info).map_err(judge)?;
    ConnectionManager::new_lazy_with_config(client, config).map_err(judge)
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

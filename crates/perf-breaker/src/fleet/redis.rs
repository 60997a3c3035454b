use super::{FleetReport, FleetStore, FleetView, Vote};
use crate::error::StoreError;
use crate::store::redis::{connect, judge};
use async_trait::async_trait;
use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{ErrorKind, Script, ServerErrorKind, cmd};
use std::fmt;
use std::sync::Arc;

/// Word through Redis (6.2 or newer), one round trip an exchange.
///
/// A fleet is two sorted sets and a string, named so that they share one cluster slot; all go when nobody
/// tells of the fleet any more.
#[derive(Clone)]
pub struct RedisFleet<C = ConnectionManager> {
    connection: C,
    prefix: Arc<str>,
    script: Arc<Script>,
}

/// Keys: members and votes by when they end, the lease's holder. Arguments: member, vote, recovery, life
/// in ms, quorum in thousandths.
const SCRIPT: &str = "
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local members, votes, lease = KEYS[1], KEYS[2], KEYS[3]
local member, vote, life = ARGV[1], ARGV[2], tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', members, '-inf', now)
redis.call('ZREMRANGEBYSCORE', votes, '-inf', now)
redis.call('ZADD', members, now + life, member)
if ARGV[3] == '1' and redis.call('GET', lease) == member then redis.call('DEL', votes, lease) end
if vote == 'yes' then redis.call('ZADD', votes, now + life, member)
elseif vote == 'stands' then redis.call('ZADD', votes, 'XX', now + life, member)
else redis.call('ZREM', votes, member) end
redis.call('PEXPIRE', members, life)
redis.call('PEXPIRE', votes, life)
local count, cast = redis.call('ZCARD', members), redis.call('ZCARD', votes)
local open = cast >= 2 and cast >= math.ceil(count * ARGV[5] / 1000)
local may_probe = open and redis.call('ZSCORE', votes, member)
local holder = redis.call('GET', lease)
if may_probe and (not holder or holder == member) then
  redis.call('SET', lease, member, 'PX', life)
  holder = member
elseif not may_probe and holder == member then
  redis.call('DEL', lease)
  holder = false
end
return {count, cast, holder == member and 1 or 0}";

impl RedisFleet {
    /// Word through the Redis at `url` (`redis://host:port/db`), connected when it is first asked. Its keys
    /// begin with `prefix`.
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

impl<C> RedisFleet<C> {
    /// Word over a connection of one's own making.
    pub fn from_connection(connection: C, prefix: &str) -> Self {
        Self {
            connection,
            prefix: prefix.into(),
            script: Arc::new(Script::new(SCRIPT)),
        }
    }
}

#[async_trait]
impl<C: ConnectionLike + Clone + Send + Sync + 'static> FleetStore for RedisFleet<C> {
    async fn exchange(&self, fleet: &str, report: FleetReport) -> Result<FleetView, StoreError> {
        let command = |verb: &str, script: &str| {
            let mut command = cmd(verb);
            command.arg(script).arg(3);
            for part in ["members", "votes", "lease"] {
                command.arg(format!("{}{{{fleet}}}:{part}", self.prefix));
            }
            let vote = match report.vote {
                Vote::Yes => "yes",
                Vote::Stands => "stands",
                Vote::No => "no",
            };
            let life = u64::try_from(report.life.as_millis()).unwrap_or(u64::MAX >> 12);
            command.arg(report.member).arg(vote);
            command.arg(u8::from(report.has_recovered)).arg(life.max(1));
            command.arg(report.quorum);
            command
        };
        let mut connection = self.connection.clone();
        let known = command("EVALSHA", self.script.get_hash());
        let answer: Result<(u32, u32, u8), _> = match known.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", SCRIPT).query_async(&mut connection).await
            }
            answer => answer,
        };
        let (members, votes, has_lease) = answer.map_err(judge)?;
        Ok(FleetView::new(members, votes, has_lease == 1))
    }
}

impl<C> fmt::Debug for RedisFleet<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFleet")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

//! Redis connections: tracked commands on a guard, and shares that replace a broken connection.
//!
//! A command that is cancelled leaves a blocking one, such as `BLPOP`, at work on the server, and one
//! such as `MULTI` or `SELECT` leaves a state: both would reach the next holder. So a guard is tainted
//! while a command runs on it, as with SQL.

use super::{Fate, Manager};
use crate::pooled::Pooled;
use crate::shared_pool::Share;
use ::redis::aio::{ConnectionLike, MultiplexedConnection};
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, Value, cmd, pipe,
};
use perf_core::Transience;
use std::fmt;
use std::time::Duration;

/// A manager of Redis connections.
///
/// Most uses of Redis want a [`SharedPool`](crate::SharedPool) of these: commands of many callers are
/// interleaved on few connections, and a connection that broke is replaced when the next command finds
/// out. A [`Pool`](crate::Pool) gives a caller one of its own, for blocking commands and for `WATCH`.
///
/// Commands on `&mut guard` are tracked: one that was cancelled, or that changes the connection's state, costs
/// a reset on return, of one round trip in the background. Those on `&mut *guard`, the bare connection, always do.
///
/// ```no_run
/// use perf_pool::{RedisManager, SharedPool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = SharedPool::builder(RedisManager::from_url("redis://localhost")?).build()?;
/// let mut share = pool.acquire().await?;
/// let visits: u64 = redis::cmd("INCR").arg("visits").query_async(&mut share).await?;
/// assert!(visits > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisManager {
    client: Client,
    database: i64,
    response_timeout: Option<Duration>,
}

/// The commands after which a connection is no longer as it was.
const STATEFUL: [&str; 18] = [
    "ASKING",
    "AUTH",
    "CLIENT",
    "DISCARD",
    "EXEC",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "QUIT",
    "READONLY",
    "READWRITE",
    "RESET",
    "SELECT",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "UNWATCH",
    "WATCH",
];

impl RedisManager {
    /// For the server that a URL such as `redis://:password@host:6379/2` names.
    ///
    /// # Errors
    ///
    /// When the URL is malformed.
    pub fn from_url(url: &str) -> RedisResult<Self> {
        // A command of a few bytes must not wait for a full segment.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info()?.set_tcp_settings(tcp);
        Ok(Self::with_client(Client::open(info)?))
    }

    /// For connections of this client.
    #[must_use]
    pub fn with_client(client: Client) -> Self {
        let database = client.get_connection_info().redis_settings().db();
        Self {
            client,
            database,
            response_timeout: Some(Duration::from_secs(5)),
        }
    }

    /// How long a command may take before it fails and the connection counts as broken; `None` for blocking
    /// commands. Default: 5 s.
    #[must_use]
    pub fn with_response_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.response_timeout = limit.into();
        self
    }
}

impl Manager for RedisManager {
    type Resource = MultiplexedConnection;
    type Error = RedisError;

    const CLEAN_AFTER_ACCESS: bool = false;

    async fn create(&self) -> RedisResult<MultiplexedConnection> {
        // The pool limits connecting itself.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(self.response_timeout);
        let client = &self.client;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    async fn check(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        cmd("PING").exec_async(connection).await
    }

    async fn reset(&self, connection: &mut MultiplexedConnection) -> RedisResult<Fate> {
        // Outside a transaction `DISCARD` is an error, which is the usual case.
        let _was_none: RedisResult<()> = cmd("DISCARD").exec_async(connection).await;
        let mut clean_up = pipe();
        clean_up.cmd("UNWATCH").cmd("SELECT").arg(self.database);
        clean_up.exec_async(connection).await?;
        Ok(Fate::Keep)
    }

    fn classify(&self, error: &RedisError) -> Transience {
        match error.kind() {
            ErrorKind::Io => Transience::Transient,
            _ => error
                .code()
                .map_or(Transience::Permanent, Transience::of_redis_code),
        }
    }
}

impl ConnectionLike for Pooled<RedisManager> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let clears = is_stateless(command);
        Box::pin(async move {
            let clears = begin(self) && clears;
            let outcome = Self::vouched(self).req_packed_command(command).await;
            end(self, clears, outcome)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let clears = pipeline.cmd_iter().all(is_stateless);
        Box::pin(async move {
            let clears = begin(self) && clears;
            let connection = Self::vouched(self);
            let outcome = connection
                .req_packed_commands(pipeline, offset, count)
                .await;
            end(self, clears, outcome)
        })
    }

    fn get_db(&self) -> i64 {
        ConnectionLike::get_db(&**self)
    }
}

impl ConnectionLike for Share<RedisManager> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let outcome = (**self).req_packed_command(command).await;
            condemn_if_broken(self, outcome)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let outcome = (**self).req_packed_commands(pipeline, offset, count).await;
            condemn_if_broken(self, outcome)
        })
    }

    fn get_db(&self) -> i64 {
        ConnectionLike::get_db(&**self)
    }
}

/// Marks the guard for the time of a command. Whether the mark is to be taken off after it.
fn begin(guard: &mut Pooled<RedisManager>) -> bool {
    let was_clean = !Pooled::meta(guard).tainted;
    Pooled::taint(guard);
    was_clean
}

/// A failure that the server reported has ended the command as well as a success.
fn end<T>(
    guard: &mut Pooled<RedisManager>,
    clears: bool,
    outcome: RedisResult<T>,
) -> RedisResult<T> {
    let has_ended = match &outcome {
        Ok(_) => true,
        Err(error) => !error.is_unrecoverable_error() && error.code().is_some(),
    };
    if has_ended && clears {
        Pooled::clear_taint(guard);
    }
    outcome
}

fn condemn_if_broken<T>(share: &Share<RedisManager>, outcome: RedisResult<T>) -> RedisResult<T> {
    if let Err(error) = &outcome
        && (error.is_unrecoverable_error() || error.is_connection_dropped() || error.is_timeout())
    {
        Share::condemn(share);
    }
    outcome
}

/// Whether the command, once it has ended, has left the connection as it was.
fn is_stateless(command: &Cmd) -> bool {
    command.args_iter().next().is_some_and(|name| match name {
        ::redis::Arg::Simple(name) => !STATEFUL
            .iter()
            .any(|stateful| name.eq_ignore_ascii_case(stateful.as_bytes())),
        _ => false,
    })
}

impl fmt::Debug for RedisManager {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisManager")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_on_data_are_stateless_and_those_on_the_connection_are_not() {
        assert!(is_stateless(cmd("GET").arg("key")));
        assert!(is_stateless(&cmd("blpop")));
        for stateful in ["MULTI", "select", "Watch"] {
            assert!(!is_stateless(&cmd(stateful)), "{stateful}");
        }
        assert!(!is_stateless(&Cmd::new()));
    }
}

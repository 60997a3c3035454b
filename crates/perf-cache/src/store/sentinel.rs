use super::redis::ears::Ears;
use super::redis::{LIMIT, RedisStore, judge};
use super::remote::{
    LeaseRequest, Leased, Reading, RemoteStore, Scanned, Settlement, StoreError, Watch,
};
use super::{Pattern, StoreInfo};
use async_trait::async_trait;
use parking_lot::RwLock;
use perf_core::Transience;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{Sentinel, SentinelNodeConnectionInfo};
use redis::{AsyncConnectionConfig, cmd};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A far store on the Redis master that sentinels name, whichever server that is.
///
/// It asks the sentinels for the master when it is first used, and again after a request has failed or was
/// given up. Until a replica has been promoted, requests fail, as they do with a single server that is
/// down.
///
/// # What a failover loses
///
/// A replica lags, and what it had not heard is gone when it becomes the master: values, which cost a load,
/// and invalidations, which would bring old values back. So each generation is told mixed with the number
/// of the master's reign (its replication id, which Redis draws anew at each promotion and each start). What
/// was published under another master matches no generation any more: **a failover makes everything in
/// the far tier a miss**, and no value from before it is served. The alternative, to have each
/// invalidation wait for the replicas, makes writers depend on servers that nobody reads from.
///
/// A process that is cut off together with an old master goes on with that one, and what it invalidates
/// there nobody else hears, until it is told of the new one. `min-replicas-to-write` on the servers bounds the
/// writes of such a master.
#[derive(Clone)]
pub struct RedisSentinelStore {
    group: Arc<Group>,
}

struct Group {
    name: String,
    /// Asked by one at a time.
    sentinels: Mutex<Sentinel>,
    reign: RwLock<Option<Arc<Reign>>>,
}

/// A master for as long as the connection to it holds.
struct Reign {
    store: RedisStore<MultiplexedConnection>,
    number: u64,
}

impl RedisSentinelStore {
    /// A store on the master that the sentinels at these URLs know by `name`. The servers themselves are
    /// asked without a password, for database 0.
    ///
    /// # Errors
    ///
    /// When there is no URL, or one is none of Redis.
    pub fn new(sentinels: &[impl AsRef<str>], name: impl Into<String>) -> Result<Self, StoreError> {
        let sentinels = sentinels.iter().map(|url| url.as_ref()).collect();
        Ok(Self {
            group: Arc::new(Group {
                name: name.into(),
                sentinels: Mutex::new(Sentinel::build(sentinels).map_err(judge)?),
                reign: RwLock::default(),
            }),
        })
    }

    /// A request to the present master. Who is given up on before the answer looks for another as well: a
    /// master that hangs never answers.
    async fn ask(&self) -> Result<Request, StoreError> {
        let known = self.group.reign.read().clone();
        let reign = match known {
            Some(reign) => reign,
            None => {
                // In a task of its own, so that callers with little patience still get somewhere together.
                let group = Arc::clone(&self.group);
                let found = tokio::spawn(async move { group.find().await }).await;
                found.map_err(|error| StoreError::new(error, Transience::Transient))??
            }
        };
        Ok(Request {
            group: Arc::clone(&self.group),
            reign,
            is_answered: false,
        })
    }
}

impl Group {
    async fn find(&self) -> Result<Arc<Reign>, StoreError> {
        let mut sentinels = self.sentinels.lock().await;
        if let Some(reign) = self.reign.read().clone() {
            return Ok(reign); // Another has found it meanwhile.
        }
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = SentinelNodeConnectionInfo::default().set_tcp_settings(tcp);
        let master = sentinels.async_master_for(&self.name, Some(&info)).await;
        let master = master.map_err(judge)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT));
        let connection = master.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.map_err(judge)?;
        let replication: String = cmd("INFO")
            .arg("replication")
            .query_async(&mut connection)
            .await
            .map_err(judge)?;
        let reign = Arc::new(Reign {
            store: RedisStore {
                connection,
                ears: Some(Ears::new(master)),
            },
            number: number(&replication),
        });
        *self.reign.write() = Some(Arc::clone(&reign));
        Ok(reign)
    }

    fn end(&self, reign: &Arc<Reign>) {
        let mut current = self.reign.write();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, reign))
        {
            *current = None;
        }
    }
}

impl Reign {
    /// A generation as it stands in the store, from how it is told, and the other way round.
    const fn mixed(&self, generation: u64) -> u64 {
        generation ^ self.number
    }

    fn all_mixed(&self, tags: &[(String, u64)]) -> Vec<(String, u64)> {
        let mix = |(tag, generation): &(String, u64)| (tag.clone(), self.mixed(*generation));
        tags.iter().map(mix).collect()
    }
}

/// A request under way. Unless it is answered well, the next one asks the sentinels who reigns.
struct Request {
    group: Arc<Group>,
    reign: Arc<Reign>,
    is_answered: bool,
}

impl Request {
    fn answered<T>(mut self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.is_answered = answer.is_ok();
        answer
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.is_answered {
            self.group.end(&self.reign);
        }
    }
}

/// The number of a reign: half of the replication id, which is 40 hexadecimal digits.
fn number(replication: &str) -> u64 {
    let mut lines = replication.lines();
    let id = lines.find_map(|line| line.strip_prefix("master_replid:"));
    let half = id.and_then(|id| id.get(..16));
    half.and_then(|half| u64::from_str_radix(half, 16).ok())
        .unwrap_or_default()
}

#[async_trait]
impl RemoteStore for RedisSentinelStore {
    async fn read(&self, keys: &[String], tags: &[String]) -> Result<Reading, StoreError> {
        let request = self.ask().await?;
        let reign = Arc::clone(&request.reign);
        let mut reading = request.answered(reign.store.read(keys, tags).await)?;
        for generation in reading.generations.iter_mut().flatten() {
            *generation = reign.mixed(*generation);
        }
        Ok(reading)
    }

    async fn heads(
        &self,
        keys: &[String],
        bytes: usize,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.heads(keys, bytes).await;
        request.answered(answer)
    }

    async fn lease(
        &self,
        requests: &[LeaseRequest<'_>],
        hold: Duration,
        tags: &[(String, u64)],
    ) -> Result<Leased, StoreError> {
        let request = self.ask().await?;
        let reign = Arc::clone(&request.reign);
        let tags = reign.all_mixed(tags);
        let mut leased = request.answered(reign.store.lease(requests, hold, &tags).await)?;
        for generation in &mut leased.generations {
            *generation = reign.mixed(*generation);
        }
        Ok(leased)
    }

    async fn settle(&self, settlements: &[Settlement<'_>]) -> Result<Vec<bool>, StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.settle(settlements).await;
        request.answered(answer)
    }

    async fn watch(&self, key: &str) -> Result<Option<Watch>, StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.watch(key).await;
        request.answered(answer)
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.put(key, value, ttl).await;
        request.answered(answer)
    }

    async fn remove(&self, keys: &[String]) -> Result<(), StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.remove(keys).await;
        request.answered(answer)
    }

    async fn generations(&self, tags: &[(String, u64)]) -> Result<Vec<u64>, StoreError> {
        let request = self.ask().await?;
        let reign = Arc::clone(&request.reign);
        let tags = reign.all_mixed(tags);
        let told = request.answered(reign.store.generations(&tags).await)?;
        Ok(told.into_iter().map(|number| reign.mixed(number)).collect())
    }

    async fn renew(&self, tags: &[(String, u64)]) -> Result<(), StoreError> {
        let request = self.ask().await?;
        let tags = request.reign.all_mixed(tags);
        let answer = request.reign.store.renew(&tags).await;
        request.answered(answer)
    }

    async fn scan(&self, pattern: &Pattern, position: u64) -> Result<Scanned, StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.scan(pattern, position).await;
        request.answered(answer)
    }

    async fn info(&self) -> Result<StoreInfo, StoreError> {
        let request = self.ask().await?;
        let answer = request.reign.store.info().await;
        request.answered(answer)
    }
}

impl fmt::Debug for RedisSentinelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSentinelStore")
            .field("name", &self.group.name)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reign_has_the_number_of_its_replication_id() {
        let info = "role:master\r\nmaster_replid:00000000000000ff0123456789abcdef01234567\r\n";
        assert_eq!(number(info), 255);
        assert_eq!(number("role:master"), 0);
    }
}

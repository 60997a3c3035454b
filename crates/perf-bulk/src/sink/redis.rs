use super::{DeadLetter, DeadLetterSink, KeptLetter, LetterId};
use crate::error::BulkError;
use async_trait::async_trait;
use perf_core::Transience;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, IntoConnectionInfo, RedisError, cmd, pipe};
use std::fmt;
use std::time::Duration;

/// Dead letters in a Redis stream, one entry with one field each.
///
/// They are as durable as the server is set up to be.
#[derive(Clone)]
pub struct RedisDeadLetters {
    connection: ConnectionManager,
    stream: String,
}

const FIELD: &str = "letter";
/// How long a connection or a reply may take.
const LIMIT: Duration = Duration::from_secs(5);

impl RedisDeadLetters {
    /// The sink in the stream of this key, on a connection to `url` that is made at the first use.
    ///
    /// # Errors
    ///
    /// [`BulkError::DeadLetters`] when the URL is none of Redis.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connection lives.
    pub fn new(url: &str, stream: impl Into<String>) -> Result<Self, BulkError> {
        // An entry of a few bytes must not wait for a full segment.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info().map_err(judge)?;
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(judge)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(judge)?;
        Ok(Self {
            connection,
            stream: stream.into(),
        })
    }
}

#[async_trait]
impl DeadLetterSink for RedisDeadLetters {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), BulkError> {
        let mut entries = pipe();
        entries.atomic();
        for letter in letters {
            let json = serde_json::to_string(letter).map_err(BulkError::dead_letters)?;
            let entry = entries.cmd("XADD").arg(&self.stream).arg("*");
            entry.arg(FIELD).arg(json).ignore();
        }
        let kept = entries.query_async(&mut self.connection.clone()).await;
        kept.map_err(judge)
    }

    async fn read(
        &self,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<KeptLetter>, BulkError> {
        let from = after.map_or_else(|| "-".to_owned(), |id| format!("({}", entry_id(id)));
        let mut range = cmd("XRANGE");
        range.arg(&self.stream).arg(from).arg("+");
        range.arg("COUNT").arg(limit);
        let entries: Vec<(String, Vec<(String, String)>)> = range
            .query_async(&mut self.connection.clone())
            .await
            .map_err(judge)?;
        let letters = entries.into_iter().filter_map(|(id, fields)| {
            let (_, json) = fields.into_iter().find(|(name, _)| name == FIELD)?;
            Some((letter_id(&id)?, json))
        });
        letters
            .map(|(id, json)| {
                let letter = serde_json::from_str(&json).map_err(BulkError::dead_letters)?;
                Ok(KeptLetter::new(id, letter))
            })
            .collect()
    }

    async fn discard(&self, ids: &[LetterId]) -> Result<(), BulkError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut delete = cmd("XDEL");
        delete.arg(&self.stream);
        for id in ids {
            delete.arg(entry_id(*id));
        }
        let deleted = delete.query_async(&mut self.connection.clone()).await;
        deleted.map_err(judge)
    }
}

impl fmt::Debug for RedisDeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDeadLetters")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// A stream's id is a time in milliseconds and a number, both of 64 bits.
fn letter_id(entry: &str) -> Option<LetterId> {
    let (millis, number) = entry.split_once('-')?;
    let millis: u64 = millis.parse().ok()?;
    let number: u64 = number.parse().ok()?;
    Some(LetterId(u128::from(millis) << 64 | u128::from(number)))
}

fn entry_id(id: LetterId) -> String {
    format!("{}-{}", id.0 >> 64, id.0 & u128::from(u64::MAX))
}

fn judge(error: RedisError) -> BulkError {
    let transience = match error.code() {
        Some(code) => Transience::of_redis_code(code),
        None if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
            Transience::Transient
        }
        None => Transience::Permanent,
    };
    BulkError::DeadLetters {
        transience,
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_entries_keep_their_order_and_return() {
        let ids = ["5-18446744073709551615", "6-0", "18446744073709551615-1"];
        let read: Vec<_> = ids.iter().filter_map(|id| letter_id(id)).collect();
        assert!(read.is_sorted() && read.len() == 3);
        assert_eq!(read.into_iter().map(entry_id).collect::<Vec<_>>(), ids);
        assert_eq!(letter_id("5"), None);
    }
}

use super::{Journal, Position};
use crate::store::StoreError;
use crate::store::redis::{client, connection, judge};
use async_trait::async_trait;
use perf_core::Transience;
use redis::aio::ConnectionManager;
use redis::{cmd, pipe};
use std::fmt;

/// A journal in a stream of Redis, as durable as the server is set up to be (`appendonly yes`, and
/// `appendfsync always` if it must survive the machine).
#[derive(Clone)]
pub struct RedisJournal {
    connection: ConnectionManager,
    stream: String,
}

const FIELD: &str = "r";

/// An entry of a stream: its id, and its fields with their values.
type StreamEntry = (String, Vec<(String, Vec<u8>)>);

impl RedisJournal {
    /// The journal in the stream of this key, on a connection to `url` that is made at the first use.
    ///
    /// # Errors
    ///
    /// When the URL is none of Redis.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, on which the connection lives.
    pub fn new(url: &str, stream: impl Into<String>) -> Result<Self, StoreError> {
        Ok(Self {
            connection: connection(client(url)?)?,
            stream: stream.into(),
        })
    }
}

#[async_trait]
impl Journal for RedisJournal {
    async fn append(&self, records: &[Vec<u8>]) -> Result<Vec<Position>, StoreError> {
        let mut entries = pipe();
        entries.atomic();
        for record in records {
            let entry = entries.cmd("XADD").arg(&self.stream).arg("*");
            entry.arg(FIELD).arg(record);
        }
        let mut connection = self.connection.clone();
        let ids: Vec<String> = entries.query_async(&mut connection).await.map_err(judge)?;
        ids.iter().map(|id| position(id)).collect()
    }

    async fn forget(&self, positions: &[Position]) -> Result<(), StoreError> {
        if positions.is_empty() {
            return Ok(()); // Redis refuses to delete nothing.
        }
        let mut command = cmd("XDEL");
        command.arg(&self.stream);
        for position in positions {
            command.arg(id(*position));
        }
        let mut connection = self.connection.clone();
        command.query_async(&mut connection).await.map_err(judge)
    }

    async fn read(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(Position, Vec<u8>)>, StoreError> {
        let mut command = cmd("XRANGE");
        command.arg(&self.stream).arg(format!("({}", id(after)));
        command.arg("+").arg("COUNT").arg(limit);
        let mut connection = self.connection.clone();
        let entries: Vec<StreamEntry> =
            command.query_async(&mut connection).await.map_err(judge)?;
        let records = entries.into_iter().map(|(id, fields)| {
            let record = fields.into_iter().next().map(|(_, record)| record);
            Ok((position(&id)?, record.unwrap_or_default()))
        });
        records.collect()
    }
}

impl fmt::Debug for RedisJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisJournal")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

fn id(position: Position) -> String {
    format!("{}-{}", position.0, position.1)
}

fn position(id: &str) -> Result<Position, StoreError> {
    let strange = || {
        let error = std::io::Error::other(format!("{id:?} is no entry of a stream"));
        StoreError::new(error, Transience::Permanent)
    };
    let (first, second) = id.split_once('-').ok_or_else(strange)?;
    let number = |text: &str| text.parse().map_err(|_| strange());
    Ok(Position(number(first)?, number(second)?))
}

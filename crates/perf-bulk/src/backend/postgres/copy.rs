//! Rows as a binary COPY.
//!
//! One buffer is encoded, sent and encoded again: what the socket takes is on its way while the next rows
//! are encoded. A second buffer, filled by another thread, was no faster: encoding is a twelfth of the work,
//! the server does the rest. A COPY ends after 8 MiB, because the server reports a bad row at the end only.
//!
//! # The end of a COPY over TCP
//!
//! sqlx 0.9 leaves Nagle's algorithm on, and writes the rows and the word that they are all in two steps. The first
//! ends in a segment that is not full. The second, five bytes, is held back until that is acknowledged, which the
//! server puts off for 40 ms, since it expects to send an answer soon. What is not held back is a full segment;
//! and for two of them, the server acknowledges at once. So before the last word as many empty messages are
//! queued as fill the largest segment there is. The server reads them in a millisecond.

use super::cells::PgCells;
use super::describe::Transport;
use super::encode;
use super::failure::{Failed, writing};
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Scope, Target};
use crate::progress::Meter;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::postgres::{PgCopyIn, PgTypeInfo};
use sqlx::{PgConnection, Postgres};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// How much is encoded before it is sent. The socket's buffer takes it while the server still works on what came before.
const SEND_BYTES: usize = 64 << 10;
/// Where one COPY ends and the next begins.
const COPY_BYTES: usize = 8 << 20;
/// What the last COPY at least carries, unless it is the only one: a smaller one is not worth its round trips.
const LAST_COPY_BYTES: usize = 2 << 20;
/// How many empty messages, of five bytes each, are more than a segment of TCP holds.
const EMPTY_MESSAGES: usize = (64 << 10) / 5 + 1;
/// The signature, no flags, no extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Copies `rows`.
pub(super) async fn write<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    types: &[PgTypeInfo],
    transport: Transport,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let mut cells = PgCells::checked(types);
    let mut first = 0;
    while first < rows.len() {
        let rest = &rows[first..];
        first += copy(scope.connection, target, &mut cells, transport, rest, meter)
            .await
            .map_err(|failed| failed.offset(first))?;
    }
    Ok(())
}

/// Copies as many of `rows` as one COPY takes, and returns their number.
async fn copy<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    cells: &mut PgCells,
    transport: Transport,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<usize, Failed> {
    let failed = |error| writing(error, 0, rows.len());
    let copy = connection.copy_in_raw(&statement(target)).await;
    let mut copy = Unfinished(Some(copy.map_err(failed)?));
    cells.clear();
    cells.append(HEADER);
    let (mut sent, mut sent_bytes) = (0, 0);
    while sent < rows.len() && !is_full(sent_bytes, sent, rows.len()) {
        let mut end = sent;
        while end < rows.len() && cells.len() < SEND_BYTES {
            if let Err(error) = encode(&rows[end], end, target, cells) {
                copy.abort().await.map_err(failed)?;
                return Err(Failed::encoding(end, error));
            }
            end += 1;
        }
        sent_bytes += cells.len();
        if end == rows.len() || is_full(sent_bytes, end, rows.len()) {
            cells.append(&TRAILER);
        }
        copy.send(cells.bytes()).await.map_err(failed)?;
        meter.advance((end - sent) as u64, cells.value_bytes());
        cells.clear();
        sent = end;
    }
    if transport == Transport::Tcp {
        copy.pad().await.map_err(failed)?;
    }
    copy.finish().await.map_err(failed)?;
    Ok(sent)
}

/// Whether a COPY should end after `bytes` of `sent` rows out of `rows`.
const fn is_full(bytes: usize, sent: usize, rows: usize) -> bool {
    if bytes < COPY_BYTES {
        return false;
    }
    let bytes_left = bytes / sent * (rows - sent);
    bytes_left == 0 || bytes_left >= LAST_COPY_BYTES
}

fn statement(target: &Target<'_>) -> String {
    let mut sql = String::from("COPY ");
    push_table(Dialect::Postgres, &mut sql, target);
    sql.push_str(" (");
    push_list(&mut sql, target.columns, ", ", |sql, column| {
        Dialect::Postgres.push_identifier(sql, column);
    });
    sql.push_str(") FROM STDIN (FORMAT binary)");
    sql
}

/// A COPY under way. Dropped, it sends nothing: sqlx would tell the server to fail, and not wait for the
/// answer, which the next statements would then take for theirs. The scope ends the connection instead.
struct Unfinished<'c>(Option<PgCopyIn<&'c mut PgConnection>>);

impl Unfinished<'_> {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), sqlx::Error> {
        match &mut self.0 {
            Some(copy) => copy.send(bytes).await.map(drop),
            None => Ok(()),
        }
    }

    /// Queues empty messages: sqlx begins a message, finds nothing to fill it with, and sends it with the next.
    async fn pad(&mut self) -> Result<(), sqlx::Error> {
        if let Some(copy) = &mut self.0 {
            for _ in 0..EMPTY_MESSAGES {
                copy.read_from(Nothing).await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), sqlx::Error> {
        match self.0.take() {
            Some(copy) => copy.finish().await.map(drop),
            None => Ok(()),
        }
    }

    async fn abort(mut self) -> Result<(), sqlx::Error> {
        match self.0.take() {
            Some(copy) => copy.abort("a row cannot be encoded").await,
            None => Ok(()),
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}

/// The end of an input. tokio's own would yield every now and then.
struct Nothing;

impl AsyncRead for Nothing {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_copy_but_the_only_one_is_small(rows in 1_usize..2_000_000, row_bytes in 1_usize..5_000) {
            let (mut left, mut copies) = (rows, Vec::new());
            while left > 0 {
                let mut sent = 0;
                while sent < left && !is_full(sent * row_bytes, sent, left) {
                    sent = left.min(sent + SEND_BYTES.div_ceil(row_bytes));
                }
                copies.push(sent * row_bytes);
                left -= sent;
            }
            let large = COPY_BYTES + LAST_COPY_BYTES + SEND_BYTES + row_bytes;
            prop_assert!(copies.iter().all(|copy| *copy <= large));
            let small = copies.iter().filter(|copy| **copy < LAST_COPY_BYTES - row_bytes * 2);
            prop_assert!(copies.len() == 1 || small.count() == 0, "{copies:?}");
        }
    }
}

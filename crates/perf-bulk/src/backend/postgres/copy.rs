//! Rows as a binary COPY.

use super::cells::PgCells;
use super::encode;
use super::failure::Failed;
use crate::backend::sql::{push_list, push_table};
use crate::backend::{Scope, Target};
use crate::progress::Meter;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::postgres::{PgCopyIn, PgTypeInfo};
use sqlx::{PgConnection, Postgres};

/// How much is encoded before it is sent. The socket's buffer takes it while the server still works on what came before.
const SEND_BYTES: usize = 64 << 10;
/// The signature, no flags, no extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Copies `rows`, and tells the scope for how long the connection speaks nothing but COPY.
pub(super) async fn write<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    types: Vec<PgTypeInfo>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    scope.session.copying = true;
    let outcome = copy(scope.connection, target, types, rows, meter).await;
    scope.session.copying = false;
    outcome
}

async fn copy<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    types: Vec<PgTypeInfo>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let writing = |error| Failed::writing(error, 0, rows.len());
    let copy = connection.copy_in_raw(&statement(target)).await;
    let mut copy = Unfinished(Some(copy.map_err(writing)?));
    let mut cells = PgCells::checked(types);
    let (mut sent, mut header) = (0, &HEADER[..]);
    for (at, row) in rows.iter().enumerate() {
        if let Err(error) = encode(row, at, target, &mut cells) {
            copy.abort().await.map_err(writing)?;
            return Err(Failed::encoding(at, error));
        }
        if cells.len() >= SEND_BYTES {
            copy.send(&[std::mem::take(&mut header), cells.bytes()])
                .await
                .map_err(writing)?;
            meter.advance((at + 1 - sent) as u64, cells.len() as u64);
            sent = at + 1;
            cells.clear();
        }
    }
    copy.send(&[header, cells.bytes(), &TRAILER])
        .await
        .map_err(writing)?;
    meter.advance((rows.len() - sent) as u64, cells.len() as u64);
    copy.finish().await.map_err(writing)
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
    async fn send(&mut self, parts: &[&[u8]]) -> Result<(), sqlx::Error> {
        let Some(copy) = &mut self.0 else {
            return Ok(());
        };
        match parts {
            [part] | [[], part] => copy.send(*part).await.map(drop),
            parts => copy.send(parts.concat()).await.map(drop),
        }
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

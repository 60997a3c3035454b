//! Which way rows go.
//!
//! COPY wins from some ten rows on where the server is near and a Unix socket leads there. Over TCP its end
//! costs more, as the module `copy` says, so there less than 128 KiB goes by statements. The transport is asked
//! for in the same round trip that reads the columns' types. Inside a caller's transaction everything goes
//! by statements, for a reason that the module `transaction` gives.

use super::cells::PgCells;
use super::describe::Transport;
use super::failure::Failed;
use super::input::{Form, can_unnest};
use super::{describe, encode, transaction};
use crate::backend::{Scope, Target};
use crate::policy::Strategy;
use crate::row::BulkRow;
use sqlx::Postgres;
use sqlx::postgres::PgTypeInfo;
use std::sync::Arc;

/// From this many values on, a COPY saves more than the question costs that goes before it.
const COPY_FROM_VALUES: usize = 400;
/// Below this many rows `VALUES` is as fast as `unnest`, and its statements are plain ones.
const UNNEST_FROM_ROWS: usize = 24;
/// From this many rows on, a temporary table pays for its making.
const STAGE_FROM_ROWS: usize = 4_000;
/// What a COPY over TCP must at least carry to be worth its end.
const COPY_OVER_TCP_BYTES: usize = 128 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Copy(Transport),
    Statements(Form),
}

type Chosen = (Arc<[PgTypeInfo]>, Way);

/// The way of an insert, and the columns' types: fresh ones for a COPY, which nobody checks but we.
pub(super) async fn of_insert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
) -> Result<Chosen, Failed> {
    let copy_from = COPY_FROM_VALUES.div_ceil(target.columns.len().max(1));
    choose(scope, target, rows, copy_from).await
}

/// The way of an upsert, where COPY leads to a temporary table.
pub(super) async fn of_upsert<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
) -> Result<Chosen, Failed> {
    choose(scope, target, rows, STAGE_FROM_ROWS).await
}

async fn choose<R: BulkRow<Postgres> + Sync>(
    scope: &mut Scope<'_, Postgres>,
    target: &Target<'_>,
    rows: &[R],
    copy_from: usize,
) -> Result<Chosen, Failed> {
    let copies = match target.strategy {
        Strategy::Copy | Strategy::Staged => true,
        Strategy::Auto => rows.len() >= copy_from,
        Strategy::Values | Strategy::Unnest => false,
    };
    if !copies || transaction::is_nested(scope) {
        let types = describe::columns(scope, target).await?;
        let way = Way::Statements(form(target.strategy, rows.len(), &types));
        return Ok((types, way));
    }
    let (types, transport) = describe::columns_and_transport(scope, target).await?;
    let is_too_little = target.strategy == Strategy::Auto
        && transport == Transport::Tcp
        && !exceeds(rows, target, &types, COPY_OVER_TCP_BYTES)?;
    let way = match is_too_little {
        true => Way::Statements(form(Strategy::Auto, rows.len(), &types)),
        false => Way::Copy(transport),
    };
    Ok((types, way))
}

fn form(strategy: Strategy, rows: usize, types: &[PgTypeInfo]) -> Form {
    let unnest = match strategy {
        Strategy::Values => false,
        Strategy::Auto => rows >= UNNEST_FROM_ROWS,
        _ => true,
    };
    if unnest && can_unnest(types) {
        Form::Unnest
    } else {
        Form::Values
    }
}

/// Whether the rows encode to more than `limit` bytes; encodes no more of them than it takes to know.
fn exceeds<R: BulkRow<Postgres>>(
    rows: &[R],
    target: &Target<'_>,
    types: &[PgTypeInfo],
    limit: usize,
) -> Result<bool, Failed> {
    let mut cells = PgCells::checked(types);
    let mut bytes = 0;
    for (at, row) in rows.iter().enumerate() {
        cells.clear();
        encode(row, at, target, &mut cells).map_err(|error| Failed::encoding(at, error))?;
        bytes += cells.len();
        if bytes > limit {
            return Ok(true);
        }
    }
    Ok(false)
}

//! Rows as parameters of `INSERT … VALUES`.

use super::cells::{self, PgCells};
use super::encode;
use super::failure::Failed;
use crate::backend::Target;
use crate::backend::sql::insert_into;
use crate::error::BulkError;
use crate::progress::Meter;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Type};

/// The most rows of a statement. Statements come in few sizes, so that the server prepares few.
const MAX_ROWS: usize = 128;
/// Up to here every size has its own statement.
const ANY_SIZE_BELOW: usize = 16;

pub(super) async fn write<R: BulkRow<Postgres> + Sync>(
    connection: &mut PgConnection,
    target: &Target<'_>,
    types: Vec<PgTypeInfo>,
    rows: &[R],
    meter: &mut Meter<'_>,
) -> Result<(), Failed> {
    let mut first = 0;
    while first < rows.len() {
        let size = statement_rows(rows.len() - first, target.columns.len());
        let batch = &rows[first..first + size];
        let arguments = arguments(batch, target, &types).map_err(|failed| failed.offset(first))?;
        let bytes = arguments.bytes;
        let mut sql = insert_into(Dialect::Postgres, target);
        push_values(&mut sql, size, target.columns.len(), |_, _| {});
        sqlx::query_with(AssertSqlSafe(sql), arguments.arguments)
            .execute(&mut *connection)
            .await
            .map_err(|error| Failed::writing(error, first, size))?;
        meter.advance(size as u64, bytes);
        first += size;
    }
    Ok(())
}

/// The arguments of one statement, and the size of their values.
pub(super) struct Bound {
    pub(super) arguments: PgArguments,
    pub(super) bytes: u64,
}

pub(super) fn arguments<R: BulkRow<Postgres>>(
    rows: &[R],
    target: &Target<'_>,
    types: &[PgTypeInfo],
) -> Result<Bound, Failed> {
    let mut cells = PgCells::checked(types.to_vec());
    for (at, row) in rows.iter().enumerate() {
        encode(row, at, target, &mut cells).map_err(|error| Failed::encoding(at, error))?;
    }
    let mut arguments = PgArguments::default();
    let mut bytes = 0;
    let values = cells::values(cells.bytes(), types.len());
    for (value, ty) in values.zip(types.iter().cycle()) {
        bytes += value.map_or(0, |value| value.len() as u64);
        arguments
            .add(Raw { value, ty })
            .map_err(|source| Failed::fatal(unencodable(source)))?;
    }
    Ok(Bound { arguments, bytes })
}

/// Appends `VALUES ($1, $2), …`; `prefix` may add to the start of each row.
pub(super) fn push_values(
    sql: &mut String,
    rows: usize,
    columns: usize,
    prefix: impl Fn(&mut String, usize),
) {
    sql.push_str("VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        prefix(sql, row);
        for column in 0..columns {
            if column > 0 {
                sql.push_str(", ");
            }
            Dialect::Postgres.push_placeholder(sql, row * columns + column + 1);
        }
        sql.push(')');
    }
}

/// How many of `left` rows go into the next statement.
pub(super) fn statement_rows(left: usize, columns: usize) -> usize {
    let most = (Dialect::Postgres.max_binds() / columns.max(1)).clamp(1, MAX_ROWS);
    if left >= most {
        most
    } else if left < ANY_SIZE_BELOW {
        left
    } else {
        1 << left.ilog2()
    }
}

fn unencodable(source: BoxDynError) -> BulkError {
    BulkError::Database {
        transience: perf_core::Transience::Permanent,
        source,
    }
}

/// A value that is encoded already, of the type of its column.
struct Raw<'v> {
    value: Option<&'v [u8]>,
    ty: &'v PgTypeInfo,
}

impl Type<Postgres> for Raw<'_> {
    /// Never used: every value names its own.
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Raw<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let Some(value) = self.value else {
            return Ok(IsNull::Yes);
        };
        buffer.extend_from_slice(value);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.ty.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn statements_cover_all_rows_within_the_bind_limit(rows in 1_usize..5_000, columns in 1_usize..1_600) {
            let mut left = rows;
            let mut sizes = std::collections::HashSet::new();
            while left > 0 {
                let size = statement_rows(left, columns);
                prop_assert!(size >= 1 && size <= left && size * columns <= 65_535);
                sizes.insert(size);
                left -= size;
            }
            prop_assert!(sizes.len() <= 8, "{} statements to prepare", sizes.len());
        }
    }

    #[test]
    fn placeholders_count_through_all_rows() {
        let mut sql = String::new();
        push_values(&mut sql, 2, 2, |sql, row| sql.push_str(&format!("{row}, ")));
        assert_eq!(sql, "VALUES (0, $1, $2), (1, $3, $4)");
    }
}

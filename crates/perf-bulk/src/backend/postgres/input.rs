//! Rows as a relation that a statement reads from.
//!
//! As `VALUES` they take a parameter for every value, and the statement's text depends on their number. As
//! `unnest` they take one for every column, an array, and the text is the same for any number; that is
//! faster from some twenty rows on, but an array cannot hold arrays, and only the types that every server
//! knows have an array type of a known identifier.

use super::cells::{self, PgCells};
use super::encode;
use super::failure::Failed;
use crate::backend::Target;
use crate::backend::sql::push_list;
use crate::error::BulkError;
use crate::row::BulkRow;
use perf_core::Dialect;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments, Encode, Postgres, Type};

/// The most rows of a `VALUES` statement. They come in few sizes, so that the server prepares few.
const VALUES_ROWS: usize = 128;
/// Up to here every size has its own statement.
const ANY_SIZE_BELOW: usize = 16;
/// The most rows of an `unnest` statement; with ten times as many it is slower.
const UNNEST_ROWS: usize = 1_000;

/// The column that numbers the rows, from 1.
pub(super) const ORDINAL: &str = "perf_bulk_row";

/// How rows become a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Values,
    Unnest,
}

impl Form {
    /// How many of `left` rows go into the next statement.
    pub(super) fn statement_rows(self, left: usize, columns: usize) -> usize {
        match self {
            Self::Values => values_rows(left, columns),
            Self::Unnest => left.min(UNNEST_ROWS),
        }
    }

    /// Appends `(…) AS input (columns, ordinal)`.
    pub(super) fn push(self, sql: &mut String, rows: usize, columns: &[&str]) {
        sql.push('(');
        match self {
            Self::Values => push_values(sql, rows, columns.len(), |sql, row| {
                sql.push_str(&format!("{}, ", row + 1));
            }),
            Self::Unnest => {
                sql.push_str("SELECT ordinal, ");
                let positions: Vec<_> = (1..=columns.len()).collect();
                push_list(sql, &positions, ", ", |sql, position| {
                    sql.push_str(&format!("c{position}"));
                });
                sql.push_str(" FROM unnest(");
                push_list(sql, &positions, ", ", |sql, position| {
                    Dialect::Postgres.push_placeholder(sql, *position);
                });
                sql.push_str(") WITH ORDINALITY AS columns (");
                push_list(sql, &positions, ", ", |sql, position| {
                    sql.push_str(&format!("c{position}"));
                });
                sql.push_str(", ordinal)");
            }
        }
        sql.push_str(") AS input (");
        sql.push_str(ORDINAL);
        for column in columns {
            sql.push_str(", ");
            Dialect::Postgres.push_identifier(sql, column);
        }
        sql.push(')');
    }
}

/// The arguments of one statement, and the size of their values.
pub(super) struct Bound {
    pub(super) arguments: PgArguments,
    pub(super) bytes: u64,
}

impl Bound {
    pub(super) fn new<R: BulkRow<Postgres>>(
        form: Form,
        rows: &[R],
        target: &Target<'_>,
        types: &[PgTypeInfo],
    ) -> Result<Self, Failed> {
        let mut cells = PgCells::checked(types);
        for (at, row) in rows.iter().enumerate() {
            encode(row, at, target, &mut cells).map_err(|error| Failed::encoding(at, error))?;
        }
        let arguments = match form {
            Form::Values => one_by_one(cells.bytes(), types),
            Form::Unnest => by_column(cells.bytes(), types, rows.len()),
        };
        Ok(Self {
            arguments: arguments.map_err(|source| Failed::fatal(unencodable(source)))?,
            bytes: cells.value_bytes(),
        })
    }
}

fn one_by_one(rows: &[u8], types: &[PgTypeInfo]) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(rows.len() / 8, rows.len());
    let values = cells::values(rows, types.len());
    for (value, ty) in values.zip(types.iter().cycle()) {
        arguments.add(Raw { value, ty })?;
    }
    Ok(arguments)
}

/// Each column as an array: the elements of an array look as the values of a COPY do.
fn by_column(
    encoded: &[u8],
    types: &[PgTypeInfo],
    rows: usize,
) -> Result<PgArguments, BoxDynError> {
    let header = |ty: &PgTypeInfo| {
        let dimensions = [
            1_i32,
            0,
            oid(ty),
            i32::try_from(rows).unwrap_or(i32::MAX),
            1,
        ];
        dimensions.map(i32::to_be_bytes).concat()
    };
    let mut columns: Vec<Vec<u8>> = types.iter().map(header).collect();
    for (position, cell) in cells::cells(encoded, types.len()).enumerate() {
        columns[position % types.len()].extend_from_slice(cell);
    }
    let mut arguments = PgArguments::default();
    for (column, ty) in columns.iter().zip(types) {
        let ty = array_of(ty).ok_or("the type has no known array type")?;
        arguments.add(Raw {
            value: Some(column),
            ty: &ty,
        })?;
    }
    Ok(arguments)
}

/// An identifier's bits, as the wire has them.
fn oid(ty: &PgTypeInfo) -> i32 {
    let oid = ty.oid().map_or(0, |oid| oid.0);
    i32::from_be_bytes(oid.to_be_bytes())
}

/// Whether every column can be an array.
pub(super) fn can_unnest(types: &[PgTypeInfo]) -> bool {
    types.iter().all(|ty| array_of(ty).is_some())
}

fn array_of(element: &PgTypeInfo) -> Option<PgTypeInfo> {
    let element = element.oid()?.0;
    let known = ARRAYS.iter().find(|(known, _)| *known == element)?;
    Some(PgTypeInfo::with_oid(Oid(known.1)))
}

/// Types and their array types, from Postgres's catalogue, where these are fixed.
const ARRAYS: [(u32, u32); 24] = [
    (16, 1000),   // bool
    (17, 1001),   // bytea
    (18, 1002),   // "char"
    (19, 1003),   // name
    (20, 1016),   // int8
    (21, 1005),   // int2
    (23, 1007),   // int4
    (25, 1009),   // text
    (26, 1028),   // oid
    (114, 199),   // json
    (700, 1021),  // float4
    (701, 1022),  // float8
    (829, 1040),  // macaddr
    (869, 1041),  // inet
    (1042, 1014), // bpchar
    (1043, 1015), // varchar
    (1082, 1182), // date
    (1083, 1183), // time
    (1114, 1115), // timestamp
    (1184, 1185), // timestamptz
    (1186, 1187), // interval
    (1700, 1231), // numeric
    (2950, 2951), // uuid
    (3802, 3807), // jsonb
];

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

fn values_rows(left: usize, columns: usize) -> usize {
    let most = (Dialect::Postgres.max_binds() / columns.max(1)).clamp(1, VALUES_ROWS);
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
                let size = values_rows(left, columns);
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

    #[test]
    fn both_forms_number_their_rows() {
        let text = |form: Form| {
            let mut sql = String::new();
            form.push(&mut sql, 2, &["a"]);
            sql
        };
        assert_eq!(
            text(Form::Values),
            r#"(VALUES (1, $1), (2, $2)) AS input (perf_bulk_row, "a")"#
        );
        assert_eq!(
            text(Form::Unnest),
            "(SELECT ordinal, c1 FROM unnest($1) WITH ORDINALITY AS columns (c1, ordinal)) \
             AS input (perf_bulk_row, \"a\")"
        );
    }
}

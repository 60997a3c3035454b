use super::{Backend, undecodable};
use crate::statement::Bind;
use crate::value::{Kind, Timestamp, Value};
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Row, Sqlite, ValueRef};

impl Backend for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;
    const EXPLAIN: (&str, usize) = ("EXPLAIN QUERY PLAN", 3);

    const PLAN: &str = "EXPLAIN QUERY PLAN";

    fn obstacle(plan: &[SqliteRow], _: bool) -> Result<(Option<String>, String), sqlx::Error> {
        let steps = plan.iter().map(|row| row.try_get::<String, _>("detail"));
        let steps: Vec<String> = steps.collect::<Result<_, _>>()?;
        let obstacle = steps.iter().find(|step| step.contains("TEMP B-TREE"));
        Ok((obstacle.cloned(), steps.join("\n")))
    }

    fn expected(_: &[SqliteRow]) -> Result<Option<u64>, sqlx::Error> {
        Ok(None)
    }

    fn bind(arguments: &mut SqliteArguments, bind: Bind) -> Result<(), BoxDynError> {
        let Bind::Value(value) = bind else {
            return Err("SQLite has no arrays".into());
        };
        match value {
            Value::Null => Arguments::add(arguments, None::<i64>),
            Value::Bool(value) => Arguments::add(arguments, value),
            Value::Int(value) => Arguments::add(arguments, value),
            Value::UInt(value) => Arguments::add(arguments, i64::try_from(value)?),
            Value::Float(value) => Arguments::add(arguments, value),
            Value::Text(text) => Arguments::add(arguments, text),
            Value::Bytes(bytes) => Arguments::add(arguments, bytes),
            Value::Timestamp(moment) => {
                let utc = moment.to_string().replace('Z', "+00:00");
                Arguments::add(arguments, utc)
            }
            Value::Uuid(bytes) => Arguments::add(arguments, bytes.to_vec()),
            Value::Decimal(_) => Err("SQLite has no exact decimals".into()),
        }
    }

    fn read(row: &SqliteRow, column: usize, kind: Kind) -> Result<Value, sqlx::Error> {
        if row.try_get_raw(column)?.is_null() {
            return Ok(Value::Null);
        }
        Ok(match kind {
            Kind::Bool => Value::Bool(row.try_get_unchecked(column)?),
            Kind::Int => Value::Int(row.try_get_unchecked(column)?),
            Kind::UInt => {
                let value: i64 = row.try_get_unchecked(column)?;
                Value::UInt(u64::try_from(value).map_err(|error| undecodable(column, error))?)
            }
            Kind::Float => Value::Float(row.try_get_unchecked(column)?),
            Kind::Text => Value::Text(row.try_get_unchecked(column)?),
            Kind::Bytes => Value::Bytes(row.try_get_unchecked(column)?),
            Kind::Timestamp => {
                let text: String = row.try_get_unchecked(column)?;
                let moment = Timestamp::parse(&text);
                Value::Timestamp(moment.ok_or_else(|| undecodable(column, "no moment"))?)
            }
            Kind::Uuid => {
                let bytes: Vec<u8> = row.try_get_unchecked(column)?;
                let bytes = bytes.try_into();
                Value::Uuid(bytes.map_err(|_| undecodable(column, "no UUID"))?)
            }
            Kind::Decimal => return Err(undecodable(column, "SQLite has no exact decimals")),
        })
    }

    fn transience(error: &dyn DatabaseError) -> Transience {
        let code = error.code().and_then(|code| code.parse().ok());
        code.map_or(Transience::Permanent, Transience::of_sqlite_code)
    }
}

use super::Backend;
use crate::statement::Bind;
use crate::value::Value;
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Sqlite};

impl Backend for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;
    const EXPLAIN: (&str, usize) = ("EXPLAIN QUERY PLAN", 3);

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
        }
    }

    fn transience(error: &dyn DatabaseError) -> Transience {
        let code = error.code().and_then(|code| code.parse().ok());
        code.map_or(Transience::Permanent, Transience::of_sqlite_code)
    }
}

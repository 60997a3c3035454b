use super::Backend;
use crate::statement::Bind;
use crate::value::Value;
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::mysql::{MySqlArguments, MySqlDatabaseError};
use sqlx::{Arguments, MySql};

/// MySQL and MariaDB: what a page needs is the same in both.
impl Backend for MySql {
    const DIALECT: Dialect = Dialect::MySql;
    const EXPLAIN: (&str, usize) = ("ANALYZE FORMAT=JSON", 0);

    fn bind(arguments: &mut MySqlArguments, bind: Bind) -> Result<(), BoxDynError> {
        let Bind::Value(value) = bind else {
            return Err("MySQL has no arrays".into());
        };
        match value {
            Value::Null => arguments.add(None::<i64>),
            Value::Bool(value) => arguments.add(value),
            Value::Int(value) => arguments.add(value),
            Value::UInt(value) => arguments.add(value),
            Value::Float(value) => arguments.add(value),
            Value::Text(text) => arguments.add(text),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Timestamp(moment) if !moment.nanos().is_multiple_of(1_000) => {
                Err("beyond microseconds".into())
            }
            Value::Timestamp(moment) => {
                arguments.add(moment.to_string().replace('T', " ").replace('Z', ""))
            }
            Value::Uuid(bytes) => arguments.add(bytes.to_vec()),
        }
    }

    fn transience(error: &dyn DatabaseError) -> Transience {
        error
            .try_downcast_ref::<MySqlDatabaseError>()
            .map_or(Transience::Permanent, |error| {
                Transience::of_mysql_number(error.number())
            })
    }
}

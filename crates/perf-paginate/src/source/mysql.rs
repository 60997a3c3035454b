use super::{Backend, undecodable};
use crate::statement::Bind;
use crate::value::{Decimal, Kind, Timestamp, Value};
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::mysql::{MySqlArguments, MySqlDatabaseError, MySqlRow};
use sqlx::{Arguments, MySql, Row, ValueRef};

/// MySQL and MariaDB: what a page needs is the same in both.
impl Backend for MySql {
    const DIALECT: Dialect = Dialect::MySql;
    const EXPLAIN: (&str, usize) = ("ANALYZE FORMAT=JSON", 0);

    const PLAN: &str = "EXPLAIN";

    fn obstacle(plan: &[MySqlRow], _: bool) -> Result<(Option<String>, String), sqlx::Error> {
        let mut obstacle = None;
        let mut steps = Vec::new();
        for row in plan {
            let text = |column| row.try_get_unchecked::<Option<String>, _>(column);
            let table = text("table")?.unwrap_or_default();
            let access = text("type")?.unwrap_or_default();
            let extra = text("Extra")?.unwrap_or_default();
            let step = format!("{table}: {access} {extra}");
            // What a statement derives in between has as many rows as the page.
            let is_derived = table.is_empty() || table.starts_with('<');
            if !is_derived && (access == "ALL" || extra.contains("filesort")) {
                obstacle.get_or_insert_with(|| step.clone());
            }
            steps.push(step);
        }
        Ok((obstacle, steps.join("\n")))
    }

    fn expected(plan: &[MySqlRow]) -> Result<Option<u64>, sqlx::Error> {
        let Some(first) = plan.first() else {
            return Ok(None);
        };
        // "Impossible WHERE" has no rows to examine.
        if first.try_get_raw("rows")?.is_null() {
            return Ok(Some(0));
        }
        // A number from MySQL, text from MariaDB.
        match first.try_get::<u64, _>("rows") {
            Ok(rows) => Ok(Some(rows)),
            Err(_) => Ok(first.try_get::<String, _>("rows")?.parse().ok()),
        }
    }

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
            // The statement casts it to the widest type, which must not round it.
            Value::Decimal(number) => {
                let (whole, fraction) = number.parts();
                if whole.len() > 35 || fraction.len() > 30 {
                    return Err("beyond DECIMAL(65, 30)".into());
                }
                arguments.add(number.to_string())
            }
        }
    }

    fn read(row: &MySqlRow, column: usize, kind: Kind) -> Result<Value, sqlx::Error> {
        if row.try_get_raw(column)?.is_null() {
            return Ok(Value::Null);
        }
        Ok(match kind {
            Kind::Bool => Value::Bool(row.try_get_unchecked::<i64, _>(column)? != 0),
            Kind::Int => Value::Int(row.try_get_unchecked(column)?),
            Kind::UInt => Value::UInt(row.try_get_unchecked(column)?),
            Kind::Float => Value::Float(row.try_get_unchecked(column)?),
            Kind::Text => Value::Text(row.try_get_unchecked(column)?),
            Kind::Bytes => Value::Bytes(row.try_get_unchecked(column)?),
            Kind::Timestamp => {
                let bytes: Vec<u8> = row.try_get_unchecked(column)?;
                let moment = moment(&bytes).ok_or_else(|| undecodable(column, "no moment"));
                Value::Timestamp(moment?)
            }
            Kind::Uuid => {
                let bytes: Vec<u8> = row.try_get_unchecked(column)?;
                let bytes = bytes.try_into();
                Value::Uuid(bytes.map_err(|_| undecodable(column, "no UUID"))?)
            }
            Kind::Decimal => {
                let text: String = row.try_get_unchecked(column)?;
                let number = Decimal::parse(&text);
                Value::Decimal(number.ok_or_else(|| undecodable(column, "no number"))?)
            }
        })
    }

    fn transience(error: &dyn DatabaseError) -> Transience {
        error
            .try_downcast_ref::<MySqlDatabaseError>()
            .map_or(Transience::Permanent, |error| {
                Transience::of_mysql_number(error.number())
            })
    }
}

/// A `DATETIME` of the binary protocol: its length, then year, month, day, time and microseconds, of which
/// zeros at the end are left out.
fn moment(bytes: &[u8]) -> Option<Timestamp> {
    let (length, content) = bytes.split_first()?;
    let mut padded = [0; 11];
    let content = content.get(..usize::from(*length))?;
    padded.get_mut(..content.len())?.copy_from_slice(content);
    let [y0, y1, month, day, hour, minute, second, m0, m1, m2, m3] = padded;
    let year = u16::from_le_bytes([y0, y1]);
    let micros = u32::from_le_bytes([m0, m1, m2, m3]);
    Timestamp::parse(&format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
    ))
}

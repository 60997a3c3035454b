//! A flight as all alternatives write it: 19 columns and an id.

use perf_bulk::BulkRow;
use perf_testkit::flights::Flight;

#[derive(BulkRow, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) id: i64,
    pub(crate) year: i32,
    pub(crate) month: i32,
    pub(crate) day: i32,
    pub(crate) dep_time: Option<i32>,
    pub(crate) sched_dep_time: i32,
    pub(crate) dep_delay: Option<i32>,
    pub(crate) arr_time: Option<i32>,
    pub(crate) sched_arr_time: i32,
    pub(crate) arr_delay: Option<i32>,
    pub(crate) carrier: &'a str,
    pub(crate) flight: i32,
    pub(crate) tailnum: Option<&'a str>,
    pub(crate) origin: &'a str,
    pub(crate) dest: &'a str,
    pub(crate) air_time: Option<i32>,
    pub(crate) distance: i32,
    pub(crate) hour: i32,
    pub(crate) minute: i32,
    pub(crate) time_hour: &'a str,
}

pub(crate) const COLUMNS: &str = "id, year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, \
     sched_arr_time, arr_delay, carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, \
     time_hour";

pub(crate) fn row((id, flight): (i64, &Flight)) -> Row<'_> {
    Row {
        id,
        year: flight.year,
        month: flight.month,
        day: flight.day,
        dep_time: flight.dep_time,
        sched_dep_time: flight.sched_dep_time,
        dep_delay: flight.dep_delay,
        arr_time: flight.arr_time,
        sched_arr_time: flight.sched_arr_time,
        arr_delay: flight.arr_delay,
        carrier: &flight.carrier,
        flight: flight.flight,
        tailnum: flight.tailnum.as_deref(),
        origin: &flight.origin,
        dest: &flight.dest,
        air_time: flight.air_time,
        distance: flight.distance,
        hour: flight.hour,
        minute: flight.minute,
        time_hour: &flight.time_hour,
    }
}

/// Binds all twenty values, in order, to whatever has a `$method`.
#[macro_export]
macro_rules! bind_all {
    ($target:expr, $method:ident, $row:expr) => {{
        let row = $row;
        $target.$method(row.id);
        $target.$method(row.year);
        $target.$method(row.month);
        $target.$method(row.day);
        $target.$method(row.dep_time);
        $target.$method(row.sched_dep_time);
        $target.$method(row.dep_delay);
        $target.$method(row.arr_time);
        $target.$method(row.sched_arr_time);
        $target.$method(row.arr_delay);
        $target.$method(row.carrier);
        $target.$method(row.flight);
        $target.$method(row.tailnum);
        $target.$method(row.origin);
        $target.$method(row.dest);
        $target.$method(row.air_time);
        $target.$method(row.distance);
        $target.$method(row.hour);
        $target.$method(row.minute);
        $target.$method(row.time_hour);
    }};
}

/// What the comparisons of one driver share: how a statement runs, and how inserts are timed.
#[macro_export]
macro_rules! driver {
    ($connection:ty, empty = $empty:literal) => {
        async fn execute(connection: &mut $connection, sql: &'static str) {
            sqlx::raw_sql(sql)
                .execute(connection)
                .await
                .expect("a statement");
        }

        /// Times `insert` into the emptied table, and counts what it left there.
        async fn timed(
            iterations: u64,
            connection: &mut $connection,
            rows: usize,
            mut insert: impl AsyncFnMut(&mut $connection),
        ) -> std::time::Duration {
            let mut total = std::time::Duration::ZERO;
            for _ in 0..iterations {
                execute(connection, $empty).await;
                let start = std::time::Instant::now();
                insert(connection).await;
                total += start.elapsed();
                let count = "SELECT count(*) FROM flights WHERE distance > 0";
                let stored: i64 = sqlx::query_scalar(count)
                    .fetch_one(&mut *connection)
                    .await
                    .expect("a count");
                assert_eq!(usize::try_from(stored), Ok(rows));
            }
            total
        }
    };
}

/// The insert that sqlx's users write, in one transaction.
#[macro_export]
macro_rules! push_values {
    ($database:ty, $connection:ty) => {
        async fn insert_by_push_values(
            connection: &mut $connection,
            rows: &[Row<'_>],
            width: usize,
        ) {
            let transaction = sqlx::Acquire::begin(connection).await;
            let mut transaction = transaction.expect("a transaction");
            for chunk in rows.chunks(width) {
                let sql = format!("INSERT INTO flights ({COLUMNS}) ");
                let mut query = sqlx::QueryBuilder::<$database>::new(sql);
                query.push_values(chunk, |mut values, row| {
                    $crate::bind_all!(values, push_bind, row)
                });
                query
                    .build()
                    .execute(&mut *transaction)
                    .await
                    .expect("an insert");
            }
            transaction.commit().await.expect("a commit");
        }
    };
}

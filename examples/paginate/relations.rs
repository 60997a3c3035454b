//! How does a page of rows get the rows that belong to them, three levels deep, without N + 1 queries?
//!
//! A page of carriers, the flights of each, and who booked them: written as a loop in a loop, that is a
//! query for each carrier and for each flight. A loader takes the keys of a whole level at once.
//!
//! ```text
//! cargo run --example paginate_relations
//! ```

use async_trait::async_trait;
use perfkit::paginate::{
    EachRow, Loader, PageQuery, Paginator, Resource, Runner, Signed, SqlSource,
};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqlitePool};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

#[derive(Resource, sqlx::FromRow)]
#[resource(table = "carriers", crate = ::perfkit::paginate)]
struct Carrier {
    #[resource(key)]
    code: String,
}

#[derive(Resource, sqlx::FromRow)]
#[resource(table = "flights", crate = ::perfkit::paginate)]
struct Flight {
    #[resource(key)]
    id: i64,
    #[resource(filter)]
    carrier: String,
    #[resource(sort)]
    delay: Option<i64>,
}

#[derive(Resource, sqlx::FromRow)]
#[resource(table = "bookings", crate = ::perfkit::paginate)]
struct Booking {
    #[resource(key)]
    flight: i64,
    #[resource(key)]
    passenger: i64,
}

#[derive(Resource, sqlx::FromRow)]
#[resource(table = "passengers", crate = ::perfkit::paginate)]
struct Passenger {
    #[resource(key)]
    id: i64,
    name: String,
}

/// A pool that counts what it is asked.
#[derive(Clone)]
struct Counting {
    pool: SqlitePool,
    queries: Arc<AtomicU32>,
}

#[async_trait]
impl Runner<Sqlite> for Counting {
    async fn run(
        &self,
        sql: Arc<str>,
        arguments: SqliteArguments,
        each: EachRow<'_, SqliteRow>,
    ) -> sqlx::Result<()> {
        self.queries.fetch_add(1, Relaxed);
        self.pool.run(sql, arguments, each).await
    }
}

const FILL: &str = "CREATE TABLE carriers (code TEXT PRIMARY KEY);
    CREATE TABLE flights (id INTEGER PRIMARY KEY, carrier TEXT NOT NULL, delay INTEGER);
    CREATE TABLE bookings (flight INTEGER, passenger INTEGER, PRIMARY KEY (flight, passenger));
    CREATE TABLE passengers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < 19)
    INSERT INTO carriers SELECT char(65 + id) FROM n;
    WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < 199)
    INSERT INTO flights SELECT id, char(65 + id % 20), NULLIF(id * 37 % 60, 0) FROM n;
    WITH RECURSIVE n(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM n WHERE id < 49)
    INSERT INTO passengers SELECT id, 'passenger ' || id FROM n;
    INSERT INTO bookings SELECT flights.id, passengers.id FROM flights, passengers
    WHERE (flights.id + passengers.id) % 25 = 0";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    sqlx::raw_sql(FILL).execute(&pool).await?;
    let queries = Arc::default();
    let database = Counting { pool, queries };

    let carriers = SqlSource::<Sqlite, Carrier, _>::new(database.clone())?;
    let carriers = Paginator::new(carriers, Signed::new(&[7; 32])?);
    let page = carriers.page(&PageQuery::new().size(10)).await?;

    let flights = Loader::new(SqlSource::<Sqlite, Flight, _>::new(database.clone())?);
    let codes = page.items.iter().map(|carrier| carrier.code.clone());
    let flights = flights.sort("-delay")?.select_in("carrier", codes).await?;

    let bookings = Loader::new(SqlSource::<Sqlite, Booking, _>::new(database.clone())?);
    let ids = flights.iter().map(|flight| flight.id);
    let bookings = bookings.select_in("flight", ids).await?;

    let passengers = Loader::new(SqlSource::<Sqlite, Passenger, _>::new(database.clone())?);
    let ids = bookings.iter().map(|booking| booking.passenger);
    let passengers = passengers.select_in("id", ids).await?;

    let mut booked = 0;
    for carrier in &page.items {
        let flights = flights.of(carrier.code.as_str());
        for flight in flights {
            anyhow::ensure!(
                flight.carrier == carrier.code,
                "a flight of another carrier"
            );
            let seats = bookings.through(flight.id, &passengers, |booking| booking.passenger);
            booked += seats.len();
        }
        if let Some(latest) = flights.first() {
            let seats = bookings.through(latest.id, &passengers, |booking| booking.passenger);
            let names: Vec<&str> = seats.iter().map(|seat| seat.name.as_str()).collect();
            println!("{}: latest {} with {names:?}", carrier.code, latest.id);
        }
    }
    println!(
        "{} carriers, {} flights, {booked} seats: {} queries",
        page.items.len(),
        flights.iter().count(),
        database.queries.load(Relaxed)
    );
    Ok(())
}

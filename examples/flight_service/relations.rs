//! What belongs to a flight: airlines, planes and airports, which hardly ever change.
//!
//! They are kept near. A page asks for the keys of all its rows at once, so those that nobody has are one query
//! however many they are, and a key that leads nowhere is remembered as well.

use super::data::{Airline, Airport, Detail, Flight, Listed, Plane};
use super::database::Database;
use super::failure::Failure;
use perfkit::cache::{Cache, CacheError};
use perfkit::core::Registry;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

type Kept<T> = Cache<String, Option<Arc<T>>>;

/// The relations of flights.
pub(crate) struct Relations {
    database: Arc<dyn Database>,
    airlines: Kept<Airline>,
    planes: Kept<Plane>,
    airports: Kept<Airport>,
}

impl Relations {
    /// Reads through to `database`.
    pub(crate) fn new(
        database: Arc<dyn Database>,
        registry: &Registry,
    ) -> Result<Self, CacheError> {
        Ok(Self {
            database,
            airlines: kept("airlines", registry)?,
            planes: kept("planes", registry)?,
            airports: kept("airports", registry)?,
        })
    }

    /// The flights of a page with their airlines and planes, in at most two queries.
    pub(crate) async fn listed(&self, flights: &[Flight]) -> Result<Lookups, Failure> {
        let airlines = flights.iter().map(|flight| flight.carrier.clone());
        let planes = flights.iter().filter_map(|flight| flight.tailnum.clone());
        let database = Arc::clone(&self.database);
        let airlines = many(&self.airlines, airlines.collect(), move |keys| {
            let database = Arc::clone(&database);
            async move { database.airlines(keys).await }
        });
        let database = Arc::clone(&self.database);
        let planes = many(&self.planes, planes.collect(), move |keys| {
            let database = Arc::clone(&database);
            async move { database.planes(keys).await }
        });
        let (airlines, planes) = tokio::try_join!(airlines, planes)?;
        Ok(Lookups { airlines, planes })
    }

    /// One flight with all that belongs to it.
    pub(crate) async fn detail(&self, flight: Flight) -> Result<Detail, Failure> {
        let ends = vec![flight.origin.clone(), flight.dest.clone()];
        let database = Arc::clone(&self.database);
        let airports = many(&self.airports, ends, move |keys| {
            let database = Arc::clone(&database);
            async move { database.airports(keys).await }
        });
        let listed = self.listed(std::slice::from_ref(&flight));
        let (airports, lookups) = tokio::try_join!(airports, listed)?;
        let airport = |code: &str| airports.get(code).cloned().flatten();
        Ok(Detail {
            origin: airport(&flight.origin),
            destination: airport(&flight.dest),
            listed: lookups.of(flight),
        })
    }
}

/// What was found for the rows of a page.
pub(crate) struct Lookups {
    airlines: HashMap<String, Option<Arc<Airline>>>,
    planes: HashMap<String, Option<Arc<Plane>>>,
}

impl Lookups {
    /// A flight with what belongs to it.
    pub(crate) fn of(&self, flight: Flight) -> Listed {
        let plane = flight.tailnum.as_ref();
        Listed {
            airline: self.airlines.get(&flight.carrier).cloned().flatten(),
            plane: plane.and_then(|tailnum| self.planes.get(tailnum).cloned().flatten()),
            flight,
        }
    }
}

fn kept<T: Send + Sync + 'static>(
    name: &'static str,
    registry: &Registry,
) -> Result<Kept<T>, CacheError> {
    let cache = Cache::builder(name)
        .ttl(Duration::from_secs(600))
        .max_entries(10_000)
        .build()?;
    cache.register(registry);
    Ok(cache)
}

async fn many<T, F, A>(
    cache: &Kept<T>,
    keys: Vec<String>,
    load: F,
) -> Result<HashMap<String, Option<Arc<T>>>, Failure>
where
    T: Send + Sync + 'static,
    F: Fn(Vec<String>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<HashMap<String, T>, Failure>> + Send + 'static,
{
    let or_nothing = move |keys: Vec<String>| {
        let load = load.clone();
        async move {
            let mut found = load(keys.clone()).await?;
            let value = |key: String| {
                let value = found.remove(&key).map(Arc::new);
                (key, value)
            };
            Ok(keys.into_iter().map(value).collect())
        }
    };
    let batch = cache.get_or_load_many(keys, or_nothing).await;
    Ok(batch.into_result()?)
}

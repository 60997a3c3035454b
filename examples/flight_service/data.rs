//! What the service knows of.

use perfkit::bulk::BulkRow;
use perfkit::paginate::Resource;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A departure from New York City. Times of day are numbers such as 517 for 5:17, delays are minutes.
#[derive(Clone, Debug, Serialize, sqlx::FromRow, Resource)]
#[resource(table = "flights", crate = ::perfkit::paginate)]
pub(crate) struct Flight {
    #[resource(key)]
    pub(crate) id: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) sched_dep_time: i64,
    #[resource(sort, filter(gte, lte, between, is_null))]
    pub(crate) dep_delay: Option<i64>,
    pub(crate) arr_delay: Option<i64>,
    #[resource(sort, filter)]
    pub(crate) carrier: String,
    pub(crate) flight: i64,
    pub(crate) tailnum: Option<String>,
    #[resource(filter)]
    pub(crate) origin: String,
    #[resource(filter)]
    pub(crate) dest: String,
    #[resource(sort)]
    pub(crate) distance: i64,
    pub(crate) time_hour: String,
}

/// A flight before the database has given it an id.
#[derive(Clone, Debug, Deserialize, BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
pub(crate) struct NewFlight {
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) sched_dep_time: i64,
    pub(crate) dep_delay: Option<i64>,
    pub(crate) arr_delay: Option<i64>,
    pub(crate) carrier: String,
    pub(crate) flight: i64,
    pub(crate) tailnum: Option<String>,
    pub(crate) origin: String,
    pub(crate) dest: String,
    pub(crate) distance: i64,
    pub(crate) time_hour: String,
}

/// An aircraft.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow, BulkRow, Resource)]
#[bulk(crate = ::perfkit::bulk)]
#[resource(table = "planes", crate = ::perfkit::paginate)]
pub(crate) struct Plane {
    #[resource(key)]
    pub(crate) tailnum: String,
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    pub(crate) seats: i64,
}

/// An airline.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow, BulkRow, Resource)]
#[bulk(crate = ::perfkit::bulk)]
#[resource(table = "airlines", crate = ::perfkit::paginate)]
pub(crate) struct Airline {
    #[resource(key)]
    pub(crate) carrier: String,
    pub(crate) name: String,
}

/// An airport.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow, BulkRow, Resource)]
#[bulk(crate = ::perfkit::bulk)]
#[resource(table = "airports", crate = ::perfkit::paginate)]
pub(crate) struct Airport {
    #[resource(key)]
    pub(crate) faa: String,
    pub(crate) name: String,
    pub(crate) lat: f64,
    pub(crate) lon: f64,
}

/// A flight on a page.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) flight: Flight,
    pub(crate) airline: Option<Arc<Airline>>,
    pub(crate) plane: Option<Arc<Plane>>,
}

/// A flight by itself.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) listed: Listed,
    pub(crate) origin: Option<Arc<Airport>>,
    pub(crate) destination: Option<Arc<Airport>>,
}

/// How an airline did.
#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct CarrierFigures {
    carrier: String,
    flights: i64,
    cancelled: i64,
    mean_delay: Option<f64>,
    worst_delay: Option<i64>,
}

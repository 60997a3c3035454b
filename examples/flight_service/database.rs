//! What the service asks of its database, whichever it is.

mod sql;

use super::args::Args;
use super::data::{Airline, Airport, CarrierFigures, Flight, NewFlight, Plane};
use super::failure::Failure;
use anyhow::{Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use perfkit::bulk::TaskQueue;
use perfkit::core::{Dialect, Registry};
use perfkit::paginate::{Error, Page, PageQuery};
use perfkit::profile::Advisor;
use perfkit::settings::Settings;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A piece of an export.
pub(crate) type Piece = Result<Bytes, Error>;

/// A database of flights.
#[async_trait]
pub(crate) trait Database: Send + Sync {
    async fn page(&self, query: &PageQuery) -> Result<Page<Flight>, Failure>;
    fn export(&self, query: &PageQuery) -> Result<BoxStream<'static, Piece>, Failure>;
    async fn flight(&self, id: i64) -> Result<Option<Flight>, Failure>;
    async fn airlines(&self, keys: Vec<String>) -> Result<HashMap<String, Airline>, Failure>;
    async fn planes(&self, keys: Vec<String>) -> Result<HashMap<String, Plane>, Failure>;
    async fn airports(&self, keys: Vec<String>) -> Result<HashMap<String, Airport>, Failure>;
    async fn carriers(&self) -> Result<Vec<CarrierFigures>, Failure>;
    async fn delays(&self, carrier: &str) -> Result<Vec<Option<i64>>, Failure>;

    /// Changes a delay; `None` if there is no such flight.
    async fn set_delay(&self, id: i64, delay: i64) -> Result<Option<Flight>, Failure>;

    /// Writes all rows or none, once for each name, and tells how many there are under that name.
    async fn import(
        &self,
        name: &str,
        rows: BoxStream<'_, Result<NewFlight, Failure>>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<u64, Failure>;

    /// How many rows an import wrote; `None` if there was none of this name.
    async fn imported(&self, name: &str) -> Result<Option<i64>, Failure>;

    /// One airline, and below one plane and a page, as one would first write it.
    async fn airline(&self, carrier: &str) -> Result<Option<Airline>, Failure>;
    async fn plane(&self, tailnum: &str) -> Result<Option<Plane>, Failure>;
    async fn page_by_offset(&self, size: i64, offset: i64) -> Result<Vec<Flight>, Failure>;

    /// Waits for what is lent, then closes all connections.
    async fn close(&self, grace: Duration);
}

/// A database that is ready, and the jobs in it.
pub(crate) struct Opened {
    pub(crate) database: Arc<dyn Database>,
    pub(crate) jobs: TaskQueue,
    /// Knows which indexes are missing.
    pub(crate) advisor: Advisor,
    pub(crate) dialect: Dialect,
}

/// Connects to the database of a URL, makes its tables if there are none, and fills them if they are empty.
pub(crate) async fn open(
    url: &str,
    args: &Args,
    settings: &Settings,
    registry: &Registry,
) -> Result<Opened> {
    match url.split(':').next() {
        Some("sqlite") => sql::sqlite::open(url, args, settings, registry).await,
        Some("postgres" | "postgresql") => sql::postgres::open(url, args, settings, registry).await,
        // Without the URL, in which a password may stand.
        _ => bail!("the database's URL must begin with postgres: or sqlite:"),
    }
}

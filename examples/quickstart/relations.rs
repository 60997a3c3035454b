//! One query for a list and two more for each of its rows, found and cured.

use crate::data::{Airline, Flight, Plane};
use crate::database::Database;
use crate::report;
use anyhow::{Context as _, Result, ensure};
use perfkit::bulk::BatchLoader;
use perfkit::profile::{Profiler, RequestScope, Rule, profile};
use sqlx::{QueryBuilder, SqlitePool};
use std::collections::HashMap;

type Row = (i64, Option<Plane>, Option<Airline>);

const NAIVE: &str = "GET /departures, look-ups one by one";
const BATCHED: &str = "GET /departures, look-ups batched";

/// Resolves the planes and airlines of 100 flights in both ways.
pub(crate) async fn show(database: &Database, profiler: &Profiler) -> Result<()> {
    report::chapter(
        "100 departures with their planes and airlines",
        "perf-profile, perf-bulk",
    );
    let scope = RequestScope::new(NAIVE);
    let (naive, before) = report::timed(scope.run(one_by_one(&database.pool))).await;
    report::line(
        "a query for each plane and airline",
        before,
        queries(profiler, NAIVE).await?,
    );
    let scope = RequestScope::new(BATCHED);
    let (batched, after) = report::timed(scope.run(batched(&database.pool))).await;
    report::line("BatchLoader", after, queries(profiler, BATCHED).await?);
    ensure!(naive? == batched?, "the two lists differ");
    report::gain(before, after, "the lists are equal");

    let snapshot = profiler.snapshot();
    let found = |request: &str| {
        let of_request = |finding: &&_| is_n_plus_one(finding, request);
        snapshot
            .findings()
            .iter()
            .filter(of_request)
            .collect::<Vec<_>>()
    };
    let finding = *found(NAIVE)
        .first()
        .context("the N+1 queries were not found")?;
    ensure!(
        found(BATCHED).is_empty(),
        "N+1 queries were found where there are none"
    );
    finding.to_string().lines().for_each(report::note);
    Ok(())
}

fn is_n_plus_one(finding: &perfkit::profile::Finding, request: &str) -> bool {
    finding.rule == Rule::NPlusOne && finding.request == request
}

async fn departures(pool: &SqlitePool) -> sqlx::Result<Vec<Flight>> {
    sqlx::query_as("SELECT * FROM flights WHERE tailnum IS NOT NULL ORDER BY id LIMIT 100")
        .fetch_all(pool)
        .await
}

#[profile(crate = ::perfkit::profile)]
async fn one_by_one(pool: &SqlitePool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for flight in departures(pool).await? {
        let plane = sqlx::query_as("SELECT * FROM planes WHERE tailnum = ?");
        let plane = plane.bind(&flight.tailnum).fetch_optional(pool).await?;
        let airline = sqlx::query_as("SELECT * FROM airlines WHERE carrier = ?");
        let airline = airline.bind(&flight.carrier).fetch_optional(pool).await?;
        rows.push((flight.id, plane, airline));
    }
    Ok(rows)
}

#[profile(crate = ::perfkit::profile)]
async fn batched(pool: &SqlitePool) -> Result<Vec<Row>> {
    let planes = loader(pool, "planes", "tailnum", |plane: &Plane| {
        plane.tailnum.clone()
    });
    let airlines = loader(pool, "airlines", "carrier", |airline: &Airline| {
        airline.carrier.clone()
    });
    let rows = departures(pool).await?.into_iter().map(async |flight| {
        let tailnum = flight.tailnum.unwrap_or_default();
        let (plane, airline) = tokio::join!(planes.load(tailnum), airlines.load(flight.carrier));
        Ok::<Row, anyhow::Error>((flight.id, plane?, airline?))
    });
    futures_util::future::try_join_all(rows).await
}

/// Loads rows of `table` by their key, all that wait together in one query.
fn loader<T>(
    pool: &SqlitePool,
    table: &'static str,
    key: &'static str,
    key_of: fn(&T) -> String,
) -> BatchLoader<String, T, sqlx::Error>
where
    T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Clone + Send + Unpin + 'static,
{
    let pool = pool.clone();
    BatchLoader::new(move |keys: Vec<String>| {
        let pool = pool.clone();
        async move {
            let mut query = QueryBuilder::new(format!("SELECT * FROM {table} WHERE {key} IN ("));
            let mut list = query.separated(", ");
            for key in keys {
                list.push_bind(key);
            }
            query.push(")");
            let rows: Vec<T> = query.build_query_as().fetch_all(&pool).await?;
            Ok(rows
                .into_iter()
                .map(|row| (key_of(&row), row))
                .collect::<HashMap<_, _>>())
        }
    })
}

async fn queries(profiler: &Profiler, request: &str) -> Result<String> {
    profiler.settled(std::time::Duration::from_secs(1)).await;
    let snapshot = profiler.snapshot();
    let request = snapshot
        .requests()
        .iter()
        .find(|stats| stats.name == request);
    Ok(format!(
        "{} queries",
        request.context("the request was not seen")?.queries
    ))
}

//! The data set: gzip CSV on disk to typed rows, with a progress bar.

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use perfkit::bulk::BulkRow;
use perfkit::paginate::Resource;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

/// One departure from New York City.
#[derive(Clone, Debug, PartialEq, Deserialize, sqlx::FromRow, BulkRow, Resource)]
#[bulk(crate = ::perfkit::bulk)]
#[resource(table = "flights", crate = ::perfkit::paginate)]
pub(crate) struct Flight {
    #[serde(skip)]
    #[resource(key)]
    pub id: i64,
    pub year: i64,
    pub month: i64,
    pub day: i64,
    #[serde(deserialize_with = "na")]
    pub dep_time: Option<i64>,
    pub sched_dep_time: i64,
    #[serde(deserialize_with = "na")]
    #[resource(sort)]
    pub dep_delay: Option<i64>,
    #[serde(deserialize_with = "na")]
    pub arr_time: Option<i64>,
    pub sched_arr_time: i64,
    #[serde(deserialize_with = "na")]
    pub arr_delay: Option<i64>,
    pub carrier: String,
    pub flight: i64,
    #[serde(deserialize_with = "na")]
    pub tailnum: Option<String>,
    pub origin: String,
    pub dest: String,
    #[serde(deserialize_with = "na")]
    pub air_time: Option<i64>,
    pub distance: i64,
    pub hour: i64,
    pub minute: i64,
    pub time_hour: String,
}

/// An aircraft, by its tail number.
#[derive(Clone, Debug, PartialEq, Deserialize, sqlx::FromRow, BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
pub(crate) struct Plane {
    pub tailnum: String,
    pub manufacturer: String,
    pub model: String,
    pub seats: i64,
}

/// A carrier, by its two-letter code.
#[derive(Clone, Debug, PartialEq, Deserialize, sqlx::FromRow, BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
pub(crate) struct Airline {
    pub carrier: String,
    pub name: String,
}

/// An airport, by the three letters of the Federal Aviation Administration.
#[derive(Clone, Debug, PartialEq, Deserialize, BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
pub(crate) struct Airport {
    pub faa: String,
    pub name: String,
    pub lat: f64,
    pub lon: f64,
    pub alt: i64,
}

/// The weather at one airport in one hour.
#[derive(Clone, Debug, PartialEq, Deserialize, BulkRow)]
#[bulk(crate = ::perfkit::bulk)]
pub(crate) struct Weather {
    pub origin: String,
    pub time_hour: String,
    #[serde(deserialize_with = "na")]
    pub temp: Option<f64>,
    #[serde(deserialize_with = "na")]
    pub wind_speed: Option<f64>,
    #[serde(deserialize_with = "na")]
    pub precip: Option<f64>,
    #[serde(deserialize_with = "na")]
    pub visib: Option<f64>,
}

/// Everything that the report works on.
pub(crate) struct Data {
    pub flights: Vec<Flight>,
    pub planes: Vec<Plane>,
    pub airlines: Vec<Airline>,
    pub airports: Vec<Airport>,
    pub weather: Vec<Weather>,
}

/// Reads the data set from `folder`.
pub(crate) fn read(folder: &Path) -> Result<Data> {
    let mut flights: Vec<Flight> = rows(&folder.join("flights-2013-01.csv.gz"))?;
    for (flight, id) in flights.iter_mut().zip(1..) {
        flight.id = id;
    }
    Ok(Data {
        flights,
        planes: rows(&folder.join("planes.csv.gz"))?,
        airlines: rows(&folder.join("airlines.csv"))?,
        airports: rows(&folder.join("airports.csv.gz"))?,
        weather: rows(&folder.join("weather-2013-01.csv.gz"))?,
    })
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    read_rows(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path)?;
    let bar = progress(file.metadata()?.len(), path);
    let source = bar.wrap_read(file);
    let plain: Box<dyn Read> = match path.extension() {
        Some(extension) if extension == "gz" => Box::new(GzDecoder::new(source)),
        _ => Box::new(source),
    };
    let rows = csv::Reader::from_reader(plain)
        .into_deserialize()
        .collect::<Result<Vec<T>, _>>()?;
    bar.finish();
    ensure!(!rows.is_empty(), "the file has no rows");
    Ok(rows)
}

fn progress(bytes: u64, path: &Path) -> ProgressBar {
    let style =
        ProgressStyle::with_template("  read {msg:24} {bar:30} {bytes:>10} {elapsed_precise}");
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let bar = ProgressBar::new(bytes).with_message(name);
    if let Ok(style) = style {
        bar.with_style(style)
    } else {
        bar
    }
}

/// Reads a field in which `NA` and nothing mean NULL.
fn na<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "" | "NA" => Ok(None),
        text => text.parse().map(Some).map_err(D::Error::custom),
    }
}

//! The project's real data set: the 27,004 flights that left New York City in January 2013.
//!
//! It stands in the repository under `examples/data/nycflights13`, whose `README.md` tells its origin. The
//! cells `NA` and the empty ones are `None`. Where a test needs more rows than there are,
//! [`FlightData::repeated`] numbers the flights over and over.

use crate::Error;
use flate2::read::GzDecoder;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A flight. Times of day are numbers such as 517 for 5:17 local time, delays and durations are minutes.
///
/// Its key is `(year, month, day, carrier, flight, origin, sched_dep_time)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The year of departure, 2013.
    pub year: i32,
    /// The month of departure, 1.
    pub month: i32,
    /// The day of departure, 1 to 31.
    pub day: i32,
    /// When it left; `None` for the 521 that were cancelled.
    #[serde(deserialize_with = "missing")]
    pub dep_time: Option<i32>,
    /// When it should have left.
    pub sched_dep_time: i32,
    /// How late it left, negative for early.
    #[serde(deserialize_with = "missing")]
    pub dep_delay: Option<i32>,
    /// When it arrived.
    #[serde(deserialize_with = "missing")]
    pub arr_time: Option<i32>,
    /// When it should have arrived.
    pub sched_arr_time: i32,
    /// How late it arrived, negative for early.
    #[serde(deserialize_with = "missing")]
    pub arr_delay: Option<i32>,
    /// The airline's code, as in [`Airline::carrier`].
    pub carrier: String,
    /// The flight's number.
    pub flight: i32,
    /// The plane's tail number; not each is among the [`Plane`]s.
    #[serde(deserialize_with = "missing")]
    pub tailnum: Option<String>,
    /// The airport it left: EWR, JFK or LGA.
    pub origin: String,
    /// The airport it went to; a few are not among the [`Airport`]s.
    pub dest: String,
    /// Minutes in the air.
    #[serde(deserialize_with = "missing")]
    pub air_time: Option<i32>,
    /// Miles.
    pub distance: i32,
    /// The hour of `sched_dep_time`.
    pub hour: i32,
    /// The minute of `sched_dep_time`.
    pub minute: i32,
    /// The scheduled hour of departure in UTC, as in `2013-01-01T10:00:00Z`.
    pub time_hour: String,
}

/// A plane, by tail number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plane {
    /// The key.
    pub tailnum: String,
    /// When it was built.
    #[serde(deserialize_with = "missing")]
    pub year: Option<i32>,
    /// What kind of plane it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who built it.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// How many engines it has.
    pub engines: i32,
    /// How many passengers it seats.
    pub seats: i32,
    /// Its cruising speed in miles an hour, rarely known.
    #[serde(deserialize_with = "missing")]
    pub speed: Option<i32>,
    /// What kind of engine it has.
    pub engine: String,
}

/// An airport, by its FAA code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Airport {
    /// The key.
    pub faa: String,
    /// Its name.
    pub name: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Feet above the sea.
    pub alt: i32,
    /// Hours from UTC in winter.
    pub tz: i32,
    /// Its rule of daylight saving time.
    pub dst: String,
    /// Its time zone.
    #[serde(deserialize_with = "missing")]
    pub tzone: Option<String>,
}

/// An airline, by its two-letter code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Airline {
    /// The key.
    pub carrier: String,
    /// Its name.
    pub name: String,
}

/// The weather at an airport of departure in one hour, by `(origin, time_hour)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weather {
    /// The airport.
    pub origin: String,
    /// The local year.
    pub year: i32,
    /// The local month.
    pub month: i32,
    /// The local day.
    pub day: i32,
    /// The local hour.
    pub hour: i32,
    /// Degrees Fahrenheit.
    #[serde(deserialize_with = "missing")]
    pub temp: Option<f64>,
    /// The dew point in degrees Fahrenheit.
    #[serde(deserialize_with = "missing")]
    pub dewp: Option<f64>,
    /// Relative humidity in per cent.
    #[serde(deserialize_with = "missing")]
    pub humid: Option<f64>,
    /// Degrees.
    #[serde(deserialize_with = "missing")]
    pub wind_dir: Option<i32>,
    /// Miles an hour.
    #[serde(deserialize_with = "missing")]
    pub wind_speed: Option<f64>,
    /// Miles an hour.
    #[serde(deserialize_with = "missing")]
    pub wind_gust: Option<f64>,
    /// Inches.
    pub precip: f64,
    /// Millibars at sea level.
    #[serde(deserialize_with = "missing")]
    pub pressure: Option<f64>,
    /// Miles.
    pub visib: f64,
    /// The hour in UTC, as in [`Flight::time_hour`].
    pub time_hour: String,
}

/// All five tables, each in the order of its file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlightData {
    /// 27,004 rows.
    pub flights: Vec<Flight>,
    /// 3,322 rows.
    pub planes: Vec<Plane>,
    /// 1,458 rows.
    pub airports: Vec<Airport>,
    /// 16 rows.
    pub airlines: Vec<Airline>,
    /// 2,226 rows.
    pub weather: Vec<Weather>,
}

impl FlightData {
    /// Exactly `rows` flights with the numbers 1 to `rows`: the real ones in order, over and over.
    ///
    /// ```
    /// let data = perf_testkit::flights::load()?;
    /// let mut rows = data.repeated(300_000);
    /// assert_eq!(rows.next(), Some((1, &data.flights[0])));
    /// assert_eq!(rows.last(), Some((300_000, &data.flights[(300_000 - 1) % 27_004])));
    /// # Ok::<(), perf_testkit::Error>(())
    /// ```
    pub fn repeated(&self, rows: usize) -> impl Iterator<Item = (i64, &Flight)> {
        (1..).zip(self.flights.iter().cycle().take(rows))
    }
}

/// Reads the data set that stands in the repository.
///
/// # Errors
///
/// As [`load_from`].
pub fn load() -> Result<FlightData, Error> {
    load_from(&folder())
}

/// Reads a data set from a folder of the same files.
///
/// # Errors
///
/// [`Error::File`] for a file that is missing, [`Error::Data`] for one that is damaged or holds other columns.
pub fn load_from(folder: &Path) -> Result<FlightData, Error> {
    Ok(FlightData {
        flights: read(folder, "flights-2013-01.csv.gz")?,
        planes: read(folder, "planes.csv.gz")?,
        airports: read(folder, "airports.csv.gz")?,
        airlines: read(folder, "airlines.csv")?,
        weather: read(folder, "weather-2013-01.csv.gz")?,
    })
}

/// Where the data set stands, for tests that read the files themselves.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/nycflights13")
}

fn read<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<Vec<T>, Error> {
    let path = folder.join(file);
    let plain = BufReader::new(File::open(&path).map_err(Error::file(&path))?);
    let rows = if file.ends_with(".gz") {
        parse(GzDecoder::new(plain))
    } else {
        parse(plain)
    };
    rows.map_err(|source| Error::Data { path, source })
}

fn parse<T: DeserializeOwned>(text: impl Read) -> Result<Vec<T>, csv::Error> {
    csv::Reader::from_reader(text).into_deserialize().collect()
}

fn missing<'de, D, T>(cell: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    match <&str>::deserialize(cell)? {
        "" | "NA" => Ok(None),
        text => text.parse().map(Some).map_err(D::Error::custom),
    }
}

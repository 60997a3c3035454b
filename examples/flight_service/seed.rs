//! The data set, for a database that is empty: gzip CSV on disk to rows.

use super::data::{Airline, Airport, NewFlight, Plane};
use anyhow::{Context as _, Result, ensure};
use csv::StringRecord;
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// All four tables.
pub(crate) struct Data {
    pub(crate) flights: Vec<NewFlight>,
    pub(crate) planes: Vec<Plane>,
    pub(crate) airlines: Vec<Airline>,
    pub(crate) airports: Vec<Airport>,
}

impl Data {
    /// Reads the files of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            flights: rows(&folder.join("flights-2013-01.csv.gz"))?,
            planes: rows(&folder.join("planes.csv.gz"))?,
            airlines: rows(&folder.join("airlines.csv"))?,
            airports: rows(&folder.join("airports.csv.gz"))?,
        })
    }
}

fn rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let read = || {
        let file = File::open(path)?;
        let plain: Box<dyn Read> = match path.extension() {
            Some(extension) if extension == "gz" => Box::new(GzDecoder::new(file)),
            _ => Box::new(file),
        };
        let mut reader = csv::Reader::from_reader(plain);
        let columns = reader.headers()?.clone();
        let row = |record: csv::Result<StringRecord>| known(&record?).deserialize(Some(&columns));
        let rows: Vec<T> = reader.records().map(row).collect::<Result<_, _>>()?;
        ensure!(!rows.is_empty(), "the file has no rows");
        Ok(rows)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// The data set writes `NA` where nothing is known.
fn known(record: &StringRecord) -> StringRecord {
    let fields = record.iter();
    fields
        .map(|field| if field == "NA" { "" } else { field })
        .collect()
}

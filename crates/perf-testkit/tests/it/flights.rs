//! The data set is read whole, and a damaged one is refused with its file's name.

use perf_testkit::{Error, flights};
use std::collections::HashSet;
use std::fs;

#[test]
fn every_table_has_the_rows_and_the_gaps_its_readme_tells_of() {
    let data = flights::load().unwrap();
    let rows = [
        data.flights.len(),
        data.planes.len(),
        data.airports.len(),
        data.airlines.len(),
        data.weather.len(),
    ];
    assert_eq!(rows, [27_004, 3_322, 1_458, 16, 2_226]);

    let flights = &data.flights;
    let gaps = [
        flights
            .iter()
            .filter(|flight| flight.dep_time.is_none())
            .count(),
        flights
            .iter()
            .filter(|flight| flight.arr_time.is_none())
            .count(),
        flights
            .iter()
            .filter(|flight| flight.arr_delay.is_none())
            .count(),
        flights
            .iter()
            .filter(|flight| flight.tailnum.is_none())
            .count(),
        data.planes
            .iter()
            .filter(|plane| plane.speed.is_none())
            .count(),
        data.airports
            .iter()
            .filter(|airport| airport.tzone.is_none())
            .count(),
        data.weather
            .iter()
            .filter(|hour| hour.wind_gust.is_none())
            .count(),
    ];
    assert_eq!(gaps, [521, 536, 606, 155, 3_299, 3, 1_691]);
}

#[test]
fn the_first_flight_is_read_cell_by_cell() {
    let data = flights::load().unwrap();
    let first = &data.flights[0];
    assert_eq!((first.year, first.month, first.day), (2013, 1, 1));
    assert_eq!((first.dep_time, first.sched_dep_time), (Some(517), 515));
    assert_eq!((first.carrier.as_str(), first.flight), ("UA", 1545));
    assert_eq!(first.tailnum.as_deref(), Some("N14228"));
    assert_eq!((first.origin.as_str(), first.dest.as_str()), ("EWR", "IAH"));
    assert_eq!((first.air_time, first.distance), (Some(227), 1400));
    assert_eq!(first.time_hour, "2013-01-01T10:00:00Z");
}

#[test]
fn repeated_rows_have_distinct_numbers_and_real_flights() {
    let data = flights::load().unwrap();
    let numbers: HashSet<i64> = data.repeated(60_000).map(|(number, _)| number).collect();
    assert_eq!(numbers.len(), 60_000);
    let mut rows = data.repeated(60_000).skip(27_003);
    assert_eq!(rows.next(), Some((27_004, &data.flights[27_003])));
    assert_eq!(rows.next(), Some((27_005, &data.flights[0])));
    assert_eq!(data.repeated(0).next(), None);
}

#[test]
fn a_missing_and_a_damaged_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = flights::load_from(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::File { path, .. } if path.ends_with("flights-2013-01.csv.gz")));

    for entry in fs::read_dir(flights::folder()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    flights::load_from(folder.path()).unwrap();
    let damaged = folder.path().join("planes.csv.gz");
    let bytes = fs::read(&damaged).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let error = flights::load_from(folder.path()).unwrap_err();
    assert!(
        matches!(&error, Error::Data { path, .. } if *path == damaged),
        "{error}"
    );
    assert!(error.to_string().contains("planes.csv.gz"));
}

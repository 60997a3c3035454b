//! What is an N+1 and what is not, case by case.
//!
//! A case is a request, written as the queries that it runs against a clock. Each case states what is
//! to be found. The rule of thumb that most tools use, "a fingerprint at least twice", must fail here, or
//! the corpus would prove nothing.

mod generated;
mod negative;
mod positive;

use super::find;
use crate::rules::{Execution, Thresholds};
use crate::sql::Statement;
use negative::NEGATIVE;
use perf_core::{Dialect, Moment};
use positive::POSITIVE;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

const THRESHOLDS: Thresholds = Thresholds {
    repeats: NonZeroU32::new(5).unwrap(),
    unexplained: Duration::from_millis(50),
};

/// A request in the making. Times are in microseconds.
#[derive(Default)]
struct Request {
    now: u64,
    executions: Vec<Execution>,
}

impl Request {
    /// Runs a query that takes 100 µs.
    fn query(&mut self, sql: &str, rows: u64) -> &mut Self {
        self.slow(sql, rows, 100)
    }

    fn slow(&mut self, sql: &str, rows: u64, micros: u64) -> &mut Self {
        self.overlapped(sql, rows, micros, micros)
    }

    /// Runs a query of `micros`, and goes on after `advance`, before it has ended if that is less.
    fn overlapped(&mut self, sql: &str, rows: u64, micros: u64, advance: u64) -> &mut Self {
        self.at(self.now, sql, rows, micros);
        self.now += advance + 5;
        self
    }

    fn at(&mut self, start: u64, sql: &str, rows: u64, micros: u64) {
        let statement = Statement::parse(sql, Dialect::Postgres);
        let mut text = DefaultHasher::new();
        sql.hash(&mut text);
        self.executions.push(Execution {
            fingerprint: statement.fingerprint(),
            shape: statement.shape(),
            started: Moment::from_nanos(start * 1_000),
            ended: Moment::from_nanos((start + micros) * 1_000),
            text: text.finish(),
            rows,
            failed: false,
            function: None,
        });
    }

    /// Runs a query that fails after 100 µs.
    fn failing(&mut self, sql: &str) -> &mut Self {
        self.query(sql, 0);
        if let Some(execution) = self.executions.last_mut() {
            execution.failed = true;
        }
        self
    }

    /// Reads the list of flights, and runs a query of `each` rows for every one of them.
    fn for_each(&mut self, flights: u64, sql: &str, each: u64) -> &mut Self {
        self.query(FLIGHTS, flights)
            .times(flights, |request, _| _ = request.query(sql, each))
    }

    fn wait(&mut self, micros: u64) -> &mut Self {
        self.now += micros;
        self
    }

    fn times(&mut self, count: u64, mut step: impl FnMut(&mut Self, u64)) -> &mut Self {
        (0..count).for_each(|index| step(self, index));
        self
    }
}

/// The list that most cases start with.
const FLIGHTS: &str = "SELECT id, tailnum, carrier FROM flights WHERE origin = $1 LIMIT $2";
const PLANE: &str = "SELECT model FROM planes WHERE tailnum = $1";
const AIRLINE: &str = "SELECT name FROM airlines WHERE carrier = $1";
const SEATS: &str = "SELECT number FROM seats WHERE flight_id = $1";

type Case = (&'static str, fn(&mut Request), &'static [&'static str]);

fn statements_found(case: &Case) -> Vec<String> {
    let mut request = Request::default();
    case.1(&mut request);
    request.found()
}

impl Request {
    /// The statements that are reported of it.
    fn found(&mut self) -> Vec<String> {
        // Executions are logged when they end.
        self.executions.sort_by_key(|execution| execution.ended);
        let found = find(&self.executions, THRESHOLDS);
        found
            .iter()
            .map(|repetition| repetition.fingerprint.to_string())
            .collect()
    }

    /// Whether a statement was run twice: all that a naive rule asks.
    fn repeats_any(&self) -> bool {
        let mut counts = HashMap::new();
        for execution in &self.executions {
            *counts.entry(execution.fingerprint).or_insert(0) += 1;
        }
        counts.values().any(|&count| count >= 2)
    }
}

fn fingerprint(sql: &str) -> String {
    let statement = Statement::parse(sql, Dialect::Postgres);
    statement.fingerprint().to_string()
}

#[test]
fn every_case_is_judged_right() {
    for case in POSITIVE.iter().chain(&NEGATIVE) {
        let expected: Vec<_> = case.2.iter().map(|sql| fingerprint(sql)).collect();
        assert_eq!(statements_found(case), expected, "{}", case.0);
    }
}

#[test]
fn counting_equal_fingerprints_would_judge_many_wrong() {
    let naive = |case: &Case| {
        let mut request = Request::default();
        case.1(&mut request);
        request.repeats_any()
    };
    assert!(POSITIVE.iter().all(naive));
    let wrong = NEGATIVE.iter().filter(|case| naive(case)).count();
    assert!(2 * wrong > NEGATIVE.len(), "only {wrong}");
}

#[test]
fn the_cause_is_the_list_and_not_what_stands_between() {
    let mut request = Request::default();
    let flights = Statement::parse(FLIGHTS, Dialect::Postgres).fingerprint();
    request
        .query("SELECT code FROM airports", 300)
        .query(FLIGHTS, 40)
        .query("SELECT role FROM users WHERE id = $1", 1)
        .times(40, |r, _| _ = r.query(PLANE, 1).query(AIRLINE, 1));
    for repetition in find(&request.executions, THRESHOLDS) {
        assert_eq!(
            (repetition.repeats, repetition.cause),
            (40, Some((flights, 40)))
        );
        assert_eq!(repetition.time, Duration::from_millis(4));
    }
}

#[test]
fn each_of_two_loops_over_one_lookup_has_its_list() {
    let mut request = Request::default();
    let late = "SELECT tailnum FROM late WHERE day = $1";
    request
        .query(FLIGHTS, 20)
        .times(20, |r, _| _ = r.query(PLANE, 1))
        .query(late, 30)
        .times(30, |r, _| _ = r.query(PLANE, 1));
    let found = find(&request.executions, THRESHOLDS);
    let late = Statement::parse(late, Dialect::Postgres).fingerprint();
    assert_eq!((found[0].repeats, found[0].cause), (50, Some((late, 30))));
}

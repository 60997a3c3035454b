//! What is an N+1 and what is not, case by case.
//!
//! A case is a request, written as the queries that it runs against a clock. Each case states what is
//! to be found. The rule of thumb that most tools use, "a fingerprint at least twice", must fail here, or
//! the corpus would prove nothing.

use super::find;
use crate::rules::{Execution, Thresholds};
use crate::sql::Statement;
use perf_core::{Dialect, Moment};
use std::collections::HashMap;
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
        let statement = Statement::parse(sql, Dialect::Postgres);
        self.executions.push(Execution {
            fingerprint: statement.fingerprint(),
            shape: statement.shape(),
            started: Moment::from_nanos(self.now * 1_000),
            ended: Moment::from_nanos((self.now + micros) * 1_000),
            text: 0,
            rows,
        });
        self.now += advance + 5;
        self
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

/// Each with the statements to be found, in the order of their first execution.
const POSITIVE: [Case; 28] = [
    (
        "a list and a lookup for each row",
        |r| {
            r.query(FLIGHTS, 100)
                .times(100, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "two lookups for each row, taking turns",
        |r| {
            r.query(FLIGHTS, 50)
                .times(50, |r, _| _ = r.query(PLANE, 1).query(AIRLINE, 1));
        },
        &[PLANE, AIRLINE],
    ),
    (
        "two loops, one after the other",
        |r| {
            r.query(FLIGHTS, 50)
                .times(50, |r, _| _ = r.query(PLANE, 1))
                .times(50, |r, _| _ = r.query(AIRLINE, 1));
        },
        &[PLANE, AIRLINE],
    ),
    (
        "children of each row",
        |r| {
            r.query(FLIGHTS, 20)
                .times(20, |r, _| _ = r.query(SEATS, 180));
        },
        &[SEATS],
    ),
    (
        "a count for each row",
        |r| {
            r.query(FLIGHTS, 20).times(20, |r, _| {
                _ = r.query("SELECT count(*) FROM seats WHERE flight_id = $1", 1)
            });
        },
        &["SELECT count(*) FROM seats WHERE flight_id = $1"],
    ),
    (
        "loops within loops",
        |r| {
            let passenger = "SELECT name FROM passengers WHERE seat_id = $1";
            r.query(FLIGHTS, 6).times(6, |r, _| {
                _ = r.query(SEATS, 7).times(7, |r, _| _ = r.query(passenger, 1))
            });
        },
        &[SEATS, "SELECT name FROM passengers WHERE seat_id = $1"],
    ),
    (
        "the loop ends early",
        |r| {
            r.query(FLIGHTS, 100)
                .times(60, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "some rows have no key",
        |r| {
            r.query(FLIGHTS, 100)
                .times(71, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "some keys lead nowhere",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, index| _ = r.query(PLANE, index % 2));
        },
        &[PLANE],
    ),
    (
        "rows are streamed while the lookups run",
        |r| {
            r.overlapped(FLIGHTS, 40, 5_000, 100)
                .times(40, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "other queries stand between list and loop",
        |r| {
            r.query(FLIGHTS, 40)
                .query("SELECT now()", 1)
                .query("SELECT role FROM users WHERE id = $1", 1)
                .times(40, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "a write for each row beside the lookup",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r
                    .query(PLANE, 1)
                    .query("UPDATE flights SET model = $1 WHERE id = $2", 0)
            });
        },
        &[PLANE],
    ),
    (
        "within a transaction",
        |r| {
            r.query("BEGIN", 0)
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query(PLANE, 1))
                .query("COMMIT", 0);
        },
        &[PLANE],
    ),
    (
        "a list of one key at a time",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("SELECT model FROM planes WHERE tailnum IN ($1)", 1)
            });
        },
        &["SELECT model FROM planes WHERE tailnum IN ($1)"],
    ),
    (
        "the newest few of each row",
        |r| {
            r.query(FLIGHTS, 25).times(25, |r, _| {
                _ = r.query(
                    "SELECT t FROM events WHERE flight_id = $1 ORDER BY t DESC LIMIT 3",
                    3,
                )
            });
        },
        &["SELECT t FROM events WHERE flight_id = $1 ORDER BY t DESC LIMIT 3"],
    ),
    (
        "a join looked up row by row",
        |r| {
            let seat =
                "SELECT s.* FROM seats s JOIN planes p ON p.id = s.plane_id WHERE p.tailnum = $1";
            r.query(FLIGHTS, 25)
                .times(25, |r, _| _ = r.query(seat, 100));
        },
        &["SELECT s.* FROM seats s JOIN planes p ON p.id = s.plane_id WHERE p.tailnum = $1"],
    ),
    (
        "a key of two columns",
        |r| {
            r.query(FLIGHTS, 25).times(25, |r, _| {
                _ = r.query("SELECT w FROM weather WHERE origin = $1 AND hour = $2", 1)
            });
        },
        &["SELECT w FROM weather WHERE origin = $1 AND hour = $2"],
    ),
    (
        "values written into the text",
        |r| {
            r.query(FLIGHTS, 25).times(25, |r, index| {
                _ = r.query(
                    &format!("SELECT model FROM planes WHERE tailnum = 'N{index}'"),
                    1,
                )
            });
        },
        &[PLANE],
    ),
    (
        "just as often as reported",
        |r| {
            r.query(FLIGHTS, 5).times(5, |r, _| _ = r.query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "pages of a list, each with lookups",
        |r| {
            let page = "SELECT id, tailnum FROM flights WHERE id > $1 ORDER BY id LIMIT $2";
            r.times(3, |r, _| {
                _ = r.query(page, 20).times(20, |r, _| _ = r.query(PLANE, 1))
            });
        },
        &[PLANE],
    ),
    (
        "the caller computes for some milliseconds on each row",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.wait(4_000).query(PLANE, 1));
        },
        &[PLANE],
    ),
    (
        "one slow pause in an otherwise tight loop",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, index| {
                _ = r.wait(if index == 9 { 80_000 } else { 0 }).query(PLANE, 1)
            });
        },
        &[PLANE],
    ),
    (
        "slow lookups",
        |r| {
            r.slow(FLIGHTS, 12, 30_000)
                .times(12, |r, _| _ = r.slow(PLANE, 1, 20_000));
        },
        &[PLANE],
    ),
    (
        "keys from elsewhere, many and slow",
        |r| {
            r.times(40, |r, _| _ = r.slow(PLANE, 1, 2_000));
        },
        &[PLANE],
    ),
    (
        "the list comes from a function",
        |r| {
            r.query("SELECT id FROM flights_near($1, $2)", 15)
                .times(15, |r, _| _ = r.query(SEATS, 10));
        },
        &[SEATS],
    ),
    (
        "the list comes from WITH",
        |r| {
            r.query(
                "WITH late AS (SELECT * FROM flights WHERE delay > $1) SELECT * FROM late",
                15,
            )
            .times(15, |r, _| _ = r.query(SEATS, 10));
        },
        &[SEATS],
    ),
    (
        "two streams of lookups that never overlap themselves",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.overlapped(PLANE, 1, 100, 10).query(AIRLINE, 1)
            });
        },
        &[PLANE, AIRLINE],
    ),
    (
        "a lookup by key within a range of time",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("SELECT sum(x) FROM fuel WHERE plane = $1 AND day > $2", 1)
            });
        },
        &["SELECT sum(x) FROM fuel WHERE plane = $1 AND day > $2"],
    ),
];

const NEGATIVE: [Case; 30] = [
    ("one list", |r| _ = r.query(FLIGHTS, 100), &[]),
    (
        "a list and one lookup of all its keys",
        |r| {
            r.query(FLIGHTS, 100)
                .query("SELECT model FROM planes WHERE tailnum IN ($1, $2, $3)", 90);
        },
        &[],
    ),
    (
        "a join",
        |r| {
            _ = r.query(
                "SELECT * FROM flights JOIN planes USING (tailnum) WHERE origin = $1",
                100,
            )
        },
        &[],
    ),
    (
        "keys in batches of a list",
        |r| {
            r.query(FLIGHTS, 5_000).times(10, |r, _| {
                _ = r.query(
                    "SELECT model FROM planes WHERE tailnum IN ($1, $2, $3)",
                    500,
                )
            });
        },
        &[],
    ),
    (
        "as many batches as rows",
        |r| {
            r.query(FLIGHTS, 10).times(10, |r, _| {
                _ = r.query("SELECT number FROM seats WHERE row IN ($1, $2, $3)", 500)
            });
        },
        &[],
    ),
    (
        "keys in batches of an array",
        |r| {
            r.query(FLIGHTS, 10).times(10, |r, _| {
                _ = r.query("SELECT model FROM planes WHERE tailnum = ANY($1)", 500)
            });
        },
        &[],
    ),
    (
        "lookups that run at once",
        |r| {
            r.query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.overlapped(PLANE, 1, 2_000, 1));
        },
        &[],
    ),
    (
        "lookups, eight at a time",
        |r| {
            r.query(FLIGHTS, 40).times(5, |r, _| {
                _ = r
                    .times(8, |r, _| _ = r.overlapped(PLANE, 1, 2_000, 1))
                    .wait(2_000)
            });
        },
        &[],
    ),
    (
        "shards asked at once",
        |r| {
            r.query("SELECT shard FROM shards", 16).times(16, |r, _| {
                _ = r.overlapped("SELECT total FROM sales WHERE day = $1", 1, 9_000, 2)
            });
        },
        &[],
    ),
    (
        "a retry with growing pauses",
        |r| {
            r.times(7, |r, index| _ = r.query(PLANE, 0).wait(20_000 << index));
        },
        &[],
    ),
    (
        "a retry after a list of as many rows",
        |r| {
            r.query(FLIGHTS, 6)
                .times(6, |r, index| _ = r.query(PLANE, 0).wait(20_000 << index));
        },
        &[],
    ),
    (
        "an impatient retry",
        |r| _ = r.times(8, |r, _| _ = r.query(PLANE, 0)),
        &[],
    ),
    (
        "polling a job",
        |r| {
            r.times(60, |r, _| {
                _ = r
                    .query("SELECT state FROM jobs WHERE id = $1", 1)
                    .wait(100_000)
            });
        },
        &[],
    ),
    (
        "polling after a list of as many rows",
        |r| {
            r.query(FLIGHTS, 60).times(60, |r, _| {
                _ = r
                    .query("SELECT state FROM jobs WHERE id = $1", 1)
                    .wait(50_000)
            });
        },
        &[],
    ),
    (
        "pages by offset",
        |r| {
            r.query("SELECT count(*) FROM flights", 1)
                .times(20, |r, _| {
                    _ = r.query(
                        "SELECT id FROM flights WHERE origin = $1 LIMIT $2 OFFSET $3",
                        50,
                    )
                });
        },
        &[],
    ),
    (
        "pages by key",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query(
                    "SELECT id FROM flights WHERE origin = $1 AND id > $2 ORDER BY id LIMIT $3",
                    50,
                )
            });
        },
        &[],
    ),
    (
        "pages by MySQL's offset",
        |r| {
            r.query("SELECT id FROM airports", 20).times(20, |r, _| {
                _ = r.query("SELECT id FROM flights WHERE origin = ? LIMIT 40, 20", 20)
            });
        },
        &[],
    ),
    (
        "a queue that is drained",
        |r| {
            let take = "SELECT id FROM queue WHERE state = $1 AND due < $2 ORDER BY due LIMIT 1 FOR UPDATE SKIP LOCKED";
            r.query(FLIGHTS, 30).times(30, |r, _| _ = r.query(take, 1));
        },
        &[],
    ),
    (
        "the same settings read over and over",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("SELECT name, value FROM settings", 12)
            });
        },
        &[],
    ),
    (
        "a clock read for each row",
        |r| {
            _ = r
                .query(FLIGHTS, 30)
                .times(30, |r, _| _ = r.query("SELECT now()", 1))
        },
        &[],
    ),
    (
        "a write for each row",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("UPDATE flights SET delay = $1 WHERE id = $2", 0)
            });
        },
        &[],
    ),
    (
        "an insert for each row",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("INSERT INTO log (flight) VALUES ($1)", 0)
            });
        },
        &[],
    ),
    (
        "savepoints",
        |r| {
            r.query(FLIGHTS, 30).times(30, |r, _| {
                _ = r.query("SAVEPOINT a", 0).query("RELEASE SAVEPOINT a", 0)
            });
        },
        &[],
    ),
    (
        "few lookups",
        |r| _ = r.query(FLIGHTS, 4).times(4, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "few lookups after a long list",
        |r| _ = r.query(FLIGHTS, 500).times(9, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "lookups without a list, quick",
        |r| _ = r.times(30, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "a list after the lookups",
        |r| _ = r.times(30, |r, _| _ = r.query(PLANE, 1)).query(FLIGHTS, 30),
        &[],
    ),
    (
        "the list returned one row",
        |r| _ = r.query(FLIGHTS, 1).times(9, |r, _| _ = r.query(PLANE, 1)),
        &[],
    ),
    (
        "a walk up a tree",
        |r| {
            r.query("SELECT id FROM nodes LIMIT $1", 3)
                .times(9, |r, _| {
                    _ = r.query("SELECT parent FROM nodes WHERE id = $1", 1)
                });
        },
        &[],
    ),
    (
        "everything, but each once",
        |r| {
            r.query(FLIGHTS, 30)
                .query(PLANE, 1)
                .query(AIRLINE, 1)
                .query(SEATS, 180)
                .query("COMMIT", 0);
        },
        &[],
    ),
];

fn statements_found(case: &Case) -> Vec<String> {
    let mut request = Request::default();
    case.1(&mut request);
    // Executions are logged when they end.
    request.executions.sort_by_key(|execution| execution.ended);
    let found = find(&request.executions, THRESHOLDS);
    found
        .iter()
        .map(|repetition| repetition.fingerprint.to_string())
        .collect()
}

fn expected(case: &Case) -> Vec<String> {
    let fingerprint = |sql: &&str| {
        Statement::parse(sql, Dialect::Postgres)
            .fingerprint()
            .to_string()
    };
    case.2.iter().map(fingerprint).collect()
}

#[test]
fn every_case_is_judged_right() {
    for case in POSITIVE.iter().chain(&NEGATIVE) {
        assert_eq!(statements_found(case), expected(case), "{}", case.0);
    }
}

#[test]
fn counting_equal_fingerprints_would_judge_many_wrong() {
    let naive = |case: &Case| {
        let mut request = Request::default();
        case.1(&mut request);
        let mut counts = HashMap::new();
        for execution in &request.executions {
            *counts.entry(execution.fingerprint).or_insert(0) += 1;
        }
        counts.values().any(|&count| count >= 2)
    };
    let wrong = NEGATIVE.iter().filter(|case| naive(case)).count();
    assert!(wrong >= 20, "only {wrong}");
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

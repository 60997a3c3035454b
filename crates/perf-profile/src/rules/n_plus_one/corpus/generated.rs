//! Requests at random: loops that must be found, repetitions that must not, and other queries around
//! either. `PERF_SOAK_CASES` says how many.

use super::{AIRLINE, PLANE, Request, fingerprint};
use fastrand::Rng;

const LIST: &str = "SELECT id, tailnum FROM departures WHERE day = $1";

/// Queries that run once: a few rows each, or many.
fn others(request: &mut Request, random: &mut Rng) {
    for _ in 0..random.u64(0..4) {
        let number = random.u64(..);
        let sql = match random.u8(0..3) {
            0 => format!("SELECT a FROM once{number} WHERE id = $1"),
            1 => format!("SELECT a, b FROM many{number} WHERE at > $1"),
            _ => format!("UPDATE once{number} SET a = $1 WHERE id = $2"),
        };
        request.slow(&sql, random.u64(0..3), random.u64(50..3_000));
    }
}

/// A list and lookups for at least half of its rows, or several for each of them.
fn a_loop(request: &mut Request, random: &mut Rng) -> Vec<&'static str> {
    let rows = random.u64(5..150);
    let repeats = match random.u8(0..3) {
        0 => rows,
        1 => random.u64(rows.div_ceil(2).max(5)..=rows),
        _ => rows * random.u64(2..=4),
    };
    let (computes, also_airlines) = (random.bool(), random.bool());
    request.slow(LIST, rows, random.u64(100..20_000));
    others(request, random);
    request.times(repeats, |request, _| {
        if computes {
            request.wait(random.u64(0..4_000));
        }
        request.slow(PLANE, random.u64(0..2), random.u64(50..800));
        if also_airlines {
            request.slow(AIRLINE, 1, random.u64(50..800));
        }
    });
    if also_airlines {
        vec![PLANE, AIRLINE]
    } else {
        vec![PLANE]
    }
}

/// After a list of as many rows, what is repeated for another reason.
fn another_repetition(request: &mut Request, random: &mut Rng) {
    let repeats = random.u64(5..100);
    request.slow(LIST, repeats, random.u64(100..20_000));
    others(request, random);
    match random.u8(0..6) {
        0 => at_once(request, random),
        1 => polled(request, repeats, random),
        2 => retried(request, random),
        3 => repeat(
            request,
            repeats,
            random,
            "SELECT a FROM t WHERE k IN ($1, $2)",
        ),
        4 => {
            let page = "SELECT id FROM t WHERE k = $1 AND id > $2 ORDER BY id LIMIT 50";
            repeat(request, repeats, random, page);
        }
        _ => repeat(
            request,
            repeats,
            random,
            "SELECT v FROM settings WHERE k = 'on'",
        ),
    }
}

fn repeat(request: &mut Request, repeats: u64, random: &mut Rng, sql: &str) {
    request.times(repeats, |request, _| {
        request.slow(sql, random.u64(1..50), random.u64(50..2_000));
    });
}

/// Several workers, each of which takes the next lookup when it is done with one.
fn at_once(request: &mut Request, random: &mut Rng) {
    let workers = random.usize(2..=16);
    let mut free = vec![request.now; workers];
    for _ in 0..random.usize(6 * workers..=12 * workers) {
        let micros = random.u64(500..2_000);
        let Some(next) = free.iter_mut().min() else {
            return;
        };
        request.at(*next, PLANE, 1, micros);
        *next += micros + random.u64(1..20);
    }
    request.now = free.into_iter().max().unwrap_or_default();
}

fn polled(request: &mut Request, repeats: u64, random: &mut Rng) {
    let interval = random.u64(20_000..200_000);
    request.times(repeats, |request, _| {
        request
            .slow(
                "SELECT state FROM jobs WHERE id = $1",
                1,
                random.u64(100..2_000),
            )
            .wait(interval);
    });
}

fn retried(request: &mut Request, random: &mut Rng) {
    let first = random.u64(12_000..50_000);
    request.times(random.u64(5..9), |request, index| {
        request
            .slow(PLANE, 0, random.u64(100..1_000))
            .wait(first << index);
    });
}

#[test]
fn loops_are_found_and_other_repetitions_are_not() {
    let cases = std::env::var("PERF_SOAK_CASES").map_or(2_000, |cases| cases.parse().unwrap());
    let mut naively_wrong = 0;
    for seed in 0..cases {
        let random = &mut Rng::with_seed(seed);
        let mut request = Request::default();
        others(&mut request, random);
        let expected = if random.bool() {
            a_loop(&mut request, random)
        } else {
            another_repetition(&mut request, random);
            Vec::new()
        };
        others(&mut request, random);
        naively_wrong += u64::from(request.repeats_any() && expected.is_empty());
        let expected: Vec<_> = expected.into_iter().map(fingerprint).collect();
        assert_eq!(request.found(), expected, "seed {seed}");
    }
    assert!(3 * naively_wrong > cases, "{naively_wrong} of {cases}");
}

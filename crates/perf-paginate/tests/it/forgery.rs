//! Tokens and requests as an attacker makes them, in numbers: nothing is accepted that was not made here, and nothing
//! panics.

use crate::rows::{Row, keyed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use perf_paginate::{CursorCodec, Error, PageQuery, Paginator, Sealed, Signed, SliceSource};
use std::collections::HashSet;

fn attempts() -> u64 {
    let asked = std::env::var("PERF_SOAK_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    asked.unwrap_or(30_000)
}

/// Marsaglia's xorshift, because millions are needed and none must be secret.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

fn paginator(codec: impl CursorCodec) -> Paginator<SliceSource<Row>> {
    let row = |id| Row {
        id,
        a: (id % 3 > 0).then_some(id),
        b: Some(format!("b{}", id % 4)),
        c: id,
        d: true,
    };
    let rows: Vec<Row> = (0..40).map(row).collect();
    Paginator::new(SliceSource::new(keyed(&["id"]).unwrap(), rows), codec)
}

/// True tokens of several walks.
async fn genuine(paginator: &Paginator<SliceSource<Row>>) -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    for scope in ["", "another"] {
        for sort in ["id", "-a", "b,-c"] {
            let page = paginator
                .scoped(scope)
                .page(&PageQuery::new().sort(sort).size(7).last())
                .await;
            let prev = page.unwrap().info.prev.unwrap();
            tokens.push(BASE64.decode(prev.as_str()).unwrap());
        }
    }
    tokens
}

/// A true token changed, cut, joined with another, or nothing of the kind.
fn forged(random: &mut Random, genuine: &[Vec<u8>]) -> Vec<u8> {
    let mut token = genuine[random.below(genuine.len())].clone();
    match random.below(5) {
        0 => {
            let place = random.below(token.len());
            token[place] ^= 1 << random.below(8);
        }
        1 => token.truncate(random.below(token.len())),
        2 => {
            let other = &genuine[random.below(genuine.len())];
            let place = random.below(token.len().min(other.len()));
            token.truncate(place);
            token.extend_from_slice(&other[place..]);
        }
        3 => {
            for _ in 0..=random.below(4) {
                let place = random.below(token.len());
                token[place] = random.byte();
            }
        }
        _ => token = (0..random.below(120)).map(|_| random.byte()).collect(),
    }
    token
}

async fn accepts_only_its_own(codec: impl CursorCodec, seed: u64) {
    let paginator = paginator(codec);
    let genuine = genuine(&paginator).await;
    let own: HashSet<&Vec<u8>> = genuine.iter().collect();
    let query = PageQuery::new().sort("-a");
    let mut random = Random(seed);
    let mut refused = 0_u64;
    for _ in 0..attempts() / 4 {
        let token = forged(&mut random, &genuine);
        let checked = paginator.check(&query.clone().cursor(BASE64.encode(&token)));
        match checked {
            Ok(_) => assert!(own.contains(&token), "{token:02x?} was accepted"),
            Err(error @ (Error::InvalidCursor(_) | Error::CursorMismatch(_))) => {
                assert!(own.contains(&token) || matches!(error, Error::InvalidCursor(_)));
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > attempts() / 5);
}

#[tokio::test]
async fn soak_no_forged_signed_cursor_is_accepted() {
    accepts_only_its_own(Signed::new(&[1; 32]).unwrap(), 1).await;
}

#[tokio::test]
async fn soak_no_forged_sealed_cursor_is_accepted() {
    accepts_only_its_own(Sealed::new(&[1; 32]).unwrap(), 2).await;
}

const PIECES: [&str; 40] = [
    "page=",
    "size=",
    "limit=",
    "offset=",
    "cursor=",
    "sort=",
    "sort_by=",
    "sort_order=",
    "filters=",
    "fields=",
    "filter[a]=",
    "filter[b][",
    "in]=",
    "like]=",
    "&",
    "&",
    "&",
    "=",
    "[",
    "]",
    "{\"a\":",
    "{\"operator\":\"gte\",\"value\":",
    "}",
    "\"",
    ",",
    "-",
    ":nulls_first",
    "a",
    "b",
    "c",
    "id",
    "1",
    "0",
    "18446744073709551616",
    "%",
    "%00",
    "%ff",
    "+",
    "é",
    "'; DROP TABLE rows --",
];

#[tokio::test]
async fn soak_any_request_is_read_or_refused() {
    let paginator = paginator(Signed::new(&[1; 32]).unwrap());
    let mut random = Random(3);
    let (mut read, mut refused) = (0_u64, 0_u64);
    for _ in 0..attempts() / 2 {
        let mut text = String::new();
        for _ in 0..random.below(9) {
            text.push_str(PIECES[random.below(PIECES.len())]);
        }
        for query in [PageQuery::parse(&text), PageQuery::from_json(&text)] {
            match query.and_then(|query| paginator.check(&query)) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert_eq!(error.status(), 400, "{text:?}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(read > attempts() / 20 && refused > attempts() / 20);
}

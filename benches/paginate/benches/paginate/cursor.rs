//! What a cursor costs beside the time it is allowed: made once and read once, as each page but the first does.

use criterion::Criterion;
use perf_paginate::{CursorCodec, Sealed, Signed};
use std::hint::black_box;
use std::time::Instant;

/// What a cursor over three numbers holds: flags, four hashes, the values.
const PAYLOAD: [u8; 1 + 4 * 8 + 3 * 9] = [0x5a; 60];
const ALLOWED_NANOS: f64 = 3_000.0;
const ROUNDS: usize = 101;
const TIMES: u32 = 500;

pub(crate) fn sign_verify(_: &mut Criterion) {
    let key = [7; Signed::MIN_KEY];
    let signed = Signed::new(&key).expect("long enough");
    record("paginate/cursor/sign_verify/three_microseconds", &signed);
    let sealed = Sealed::new(&key).expect("long enough");
    record("paginate/cursor/seal_open/three_microseconds", &sealed);
}

fn record(id: &str, codec: &dyn CursorCodec) {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| nanos(codec)).collect();
    rounds.sort_by(f64::total_cmp);
    harness::record(id, rounds[ROUNDS / 2], ALLOWED_NANOS, "ns");
}

fn nanos(codec: &dyn CursorCodec) -> f64 {
    let start = Instant::now();
    for _ in 0..TIMES {
        let token = codec.seal(black_box(&PAYLOAD));
        let opened = codec.open(black_box(&token));
        assert_eq!(opened.as_deref(), Ok(PAYLOAD.as_slice()));
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
}

//! Hostile bytes through each codec: an error or a value, never a panic, never past the bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perf_core::{Codec, CodecError, Compressed, Json, MessagePack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One field of each kind that a decoder treats in its own way.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Stored {
    id: u64,
    offset: Option<i64>,
    name: String,
    tags: Vec<String>,
    counts: BTreeMap<String, u32>,
}

/// What decodes must survive another round trip unchanged.
fn check<C: Codec>(codec: &C, bytes: &[u8]) {
    if let Ok(stored) = codec.decode::<Stored>(bytes) {
        let again = codec.encode(&stored).expect("what was decoded has a form");
        assert_eq!(
            codec
                .decode::<Stored>(&again)
                .expect("what was encoded decodes"),
            stored
        );
    }
    let _: Result<serde_json::Value, CodecError> = codec.decode(bytes);
}

fuzz_target!(|bytes: &[u8]| {
    check(&MessagePack, bytes);
    check(&Json, bytes);
    check(
        &Compressed::new(MessagePack)
            .with_threshold(1)
            .with_limit(1 << 16),
        bytes,
    );
    check(
        &Compressed::new(Json).with_threshold(1).with_limit(1 << 16),
        bytes,
    );
});

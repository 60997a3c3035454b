//! Whatever lies in a far store is an envelope that reads back the same, or nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perf_cache::envelope::{Envelope, is_lease, seal_of};

fuzz_target!(|bytes: &[u8]| {
    assert!(bytes.starts_with(seal_of(bytes)));
    // The checksum would hide all but the seeds, so each input is also tried with the right one.
    let mut sealed = bytes.to_vec();
    sealed.extend(crc32fast::hash(bytes).to_le_bytes());
    for bytes in [bytes, &sealed] {
        let Some(envelope) = Envelope::decode(bytes) else {
            continue;
        };
        assert!(!is_lease(bytes));
        assert!(envelope.payload.len() + envelope.tags.len() <= bytes.len());
        assert_eq!(envelope.encode(), bytes);
    }
});

//! Any bytes as an export: never complete by accident, never a panic, and what is kept is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perf_paginate::Recovery;

fuzz_target!(|bytes: &[u8]| {
    let found = Recovery::read(bytes).expect("memory does not fail");
    let length = usize::try_from(found.length).expect("no longer than the bytes");
    assert!(length <= bytes.len());
    let kept = Recovery::read(&bytes[..length]).expect("memory does not fail");
    assert_eq!(kept, found);
});

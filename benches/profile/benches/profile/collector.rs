//! Hotpath's collector thread, started once: a second start after a shutdown leaves a thread spinning.

use std::sync::Once;

pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| std::mem::forget(hotpath::HotpathGuardBuilder::new("bench").build()));
}

use crate::error::CursorFault;
use perf_core::Clock;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a cursor is good, by which clock.
#[derive(Clone)]
pub(super) struct Lifetime {
    seconds: u64,
    clock: Arc<dyn Clock>,
}

impl Lifetime {
    pub(super) fn new(lifetime: Duration, clock: impl Clock) -> Self {
        Self {
            seconds: lifetime.as_secs(),
            clock: Arc::new(clock),
        }
    }

    /// Seconds since the start of 1970; before it, none.
    pub(super) fn now(&self) -> u64 {
        let since = self.clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// Splits the second of its making off what a codec protected; refuses what is too old, or of unknown age where
    /// age matters.
    pub(super) fn check<'c>(
        lifetime: Option<&Self>,
        is_timed: bool,
        content: &'c [u8],
    ) -> Result<&'c [u8], CursorFault> {
        let (made, payload) = if is_timed {
            let (made, payload) = content
                .split_first_chunk::<8>()
                .ok_or(CursorFault::Malformed)?;
            (Some(u64::from_be_bytes(*made)), payload)
        } else {
            (None, content)
        };
        let is_over = |lifetime: &Self| {
            made.is_none_or(|made| lifetime.now().saturating_sub(made) > lifetime.seconds)
        };
        if lifetime.is_some_and(is_over) {
            return Err(CursorFault::Expired);
        }
        Ok(payload)
    }
}

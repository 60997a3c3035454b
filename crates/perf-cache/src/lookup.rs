use crate::entry::Entry;
use crate::expiry::Tick;
use std::time::Duration;

/// A value and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lookup<V> {
    /// The value.
    pub value: V,
    /// The time since it was stored, to about 10 ms or a hundredth of its time to live.
    pub age: Duration,
    /// Where it came from.
    pub source: Source,
}

impl<V> Lookup<V> {
    /// A fresh entry.
    pub(crate) fn near(entry: Entry<V>, now: Tick) -> Self {
        Self {
            age: entry.age(now),
            value: entry.into_value(),
            source: Source::Near,
        }
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// This process's memory, fresh.
    Near,
    /// The far tier, just now.
    Far,
    /// A load, just now.
    Loaded,
    /// This process's memory, beyond its time to live.
    Stale,
}

//! Requests over time, in bounded memory.
//!
//! The span of time is cut into at most 60 slices. When it outgrows them, each two become one and
//! a slice lasts twice as long, so that the whole life of a service is there, at a resolution of a
//! hundredth or so.

use super::Latency;
use parking_lot::Mutex;
use perf_core::{Moment, Summary};
use std::time::Duration;

const MAX_SLICES: usize = 60;
/// How long the first slices are.
const SHORTEST: Duration = Duration::from_secs(1);

/// The requests that ended in one slice of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct RequestSlice {
    /// Since the profiler was made, or forgot what was before.
    pub start: Duration,
    /// How long it is.
    pub length: Duration,
    /// Requests.
    pub requests: u64,
    /// Queries that they ran.
    pub queries: u64,
    /// Their latencies.
    pub latency: Summary,
}

/// Where ended requests leave their figures by the time of their end.
#[derive(Debug)]
pub(crate) struct Timeline {
    slices: Mutex<Slices>,
}

#[derive(Debug)]
struct Slices {
    start: Moment,
    length: Duration,
    slices: Vec<Slice>,
}

#[derive(Debug, Default)]
struct Slice {
    queries: u64,
    latency: Latency,
}

impl Timeline {
    pub(crate) const fn new(start: Moment) -> Self {
        Self {
            slices: Mutex::new(Slices::since(start)),
        }
    }

    /// Drops all slices.
    pub(super) fn begin(&self, start: Moment) {
        *self.slices.lock() = Slices::since(start);
    }

    pub(super) fn record(&self, ended: Moment, latency: Duration, queries: u64) {
        let mut slices = self.slices.lock();
        let slice = slices.at(ended);
        slice.queries += queries;
        slice.latency.record_exclusive(latency);
    }

    /// All slices until the last that has a request.
    pub(crate) fn slices(&self) -> Vec<RequestSlice> {
        let slices = self.slices.lock();
        let numbered = (0_u32..).zip(&slices.slices);
        let slice = |(number, slice): (u32, &Slice)| {
            let latency = slice.latency.summary();
            RequestSlice {
                start: slices.length.saturating_mul(number),
                length: slices.length,
                requests: latency.count,
                queries: slice.queries,
                latency,
            }
        };
        numbered.map(slice).collect()
    }
}

impl Slices {
    const fn since(start: Moment) -> Self {
        Self {
            start,
            length: SHORTEST,
            slices: Vec::new(),
        }
    }

    /// The slice that a moment falls into.
    fn at(&mut self, moment: Moment) -> &mut Slice {
        let time = moment.since(self.start);
        let number = loop {
            let number = usize::try_from(nanos(time) / nanos(self.length)).unwrap_or(usize::MAX);
            if number < MAX_SLICES {
                break number;
            }
            self.halve();
        };
        if self.slices.len() <= number {
            self.slices.resize_with(number + 1, Slice::default);
        }
        &mut self.slices[number]
    }

    /// Makes one slice of each two.
    fn halve(&mut self) {
        self.length *= 2;
        let mut slices = std::mem::take(&mut self.slices).into_iter();
        while let Some(mut slice) = slices.next() {
            if let Some(next) = slices.next() {
                slice.queries += next.queries;
                slice.latency.merge(&next.latency);
            }
            self.slices.push(slice);
        }
    }
}

/// In 64 bits, which are divided several times faster than the 128 of a `Duration`.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_request_is_in_the_slice_of_its_end(ends in vec(0_u64..40_000_000, 1..200)) {
            let timeline = Timeline::new(Moment::from_nanos(7));
            for end in &ends {
                let ended = Moment::from_nanos(7 + end * 1_000_000);
                timeline.record(ended, Duration::from_millis(3), 2);
            }
            let slices = timeline.slices();
            prop_assert!(slices.len() <= MAX_SLICES);
            let last = Duration::from_millis(ends.iter().copied().max().unwrap_or(0));
            let length = slices[0].length;
            // No coarser than it must be.
            prop_assert!(length == SHORTEST || last >= length / 2 * 60);
            for slice in slices {
                let inside = |end: &&u64| {
                    let end = Duration::from_millis(**end);
                    slice.start <= end && end < slice.start + slice.length
                };
                let requests = ends.iter().filter(inside).count() as u64;
                prop_assert_eq!((slice.requests, slice.queries), (requests, 2 * requests));
                prop_assert_eq!(slice.length, length);
            }
        }
    }

    #[test]
    fn the_end_of_time_has_a_slice() {
        let timeline = Timeline::new(Moment::from_nanos(0));
        timeline.record(Moment::from_nanos(u64::MAX), Duration::ZERO, 0);
        assert_eq!(
            timeline.slices().last().map(|slice| slice.requests),
            Some(1)
        );
    }
}

//! What happened lately, counted without a lock and without allocation.
//!
//! Both windows tag every word with the generation that wrote it. A word with another tag reads as empty,
//! so a change of state costs no clearing: the next generation adopts the words one by one, when it first
//! writes them. Before a recorder adopts a word it asks whether its own generation still stands, *after*
//! it has read the word. If it does, the word cannot be younger than the recorder; if the generation ends
//! between the question and the exchange, what is written carries a tag that nobody reads any more. Hence
//! a late result has no effect, without a lock and without a second look at the state on the usual path.
//!
//! A mutex over a ring buffer would be simpler and costs every healthy call a lock hand-over as soon as
//! two threads share the breaker.

mod count;
mod time;

use perf_core::Moment;

pub(crate) use count::CountWindow;
pub(crate) use time::TimeWindow;

/// Which stretch of a breaker's life a word or a permit belongs to; below 2²⁰.
///
/// Equal only after exactly a multiple of 1,048,576 changes of state.
///
/// Half a word, so that a permit's part of a call fits two registers: passed through memory, it would cost as
/// much as the rest of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(pub(crate) u32);

impl Generation {
    pub(crate) const BITS: u32 = 20;
    const MASK: u64 = (1 << Self::BITS) - 1;

    /// The lowest bits of `bits`.
    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self((bits & Self::MASK) as u32)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }

    pub(crate) const fn next(self) -> Self {
        Self::from_bits(self.bits() + 1)
    }
}

/// What is to be remembered of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

impl Trace {
    pub(crate) const GOOD: Self = Self {
        failed: false,
        slow: false,
    };
    pub(crate) const FAILED: Self = Self {
        failed: true,
        slow: false,
    };
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

#[derive(Debug)]
pub(crate) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
}

impl Window {
    /// Whether both hold calls in the same manner.
    pub(crate) fn is_shaped_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Count(this), Self::Count(other)) => this.len() == other.len(),
            (Self::Time(this), Self::Time(other)) => this.shape() == other.shape(),
            _ => false,
        }
    }

    /// Whether another good call would leave it as it is.
    #[inline]
    pub(crate) fn is_full_of_good_calls(&self, generation: Generation) -> bool {
        match self {
            Self::Count(window) => window.is_full_of_good_calls(generation),
            Self::Time(_) => false,
        }
    }

    /// Remembers a call and says whether the window has thereby come to hold `minimum` calls.
    ///
    /// `stands` tells whether `generation` is still the breaker's.
    #[inline]
    pub(crate) fn record(
        &self,
        generation: Generation,
        trace: Trace,
        minimum: u64,
        now: impl FnOnce() -> Moment,
        stands: impl Fn() -> bool,
    ) -> bool {
        match self {
            Self::Count(window) => window.record(generation, trace, minimum, stands),
            Self::Time(window) => window.record(generation, trace, minimum, now(), stands),
        }
    }

    pub(crate) fn counts(&self, generation: Generation, now: impl FnOnce() -> Moment) -> Counts {
        match self {
            Self::Count(window) => window.counts(generation),
            Self::Time(window) => window.counts(generation, now()),
        }
    }
}

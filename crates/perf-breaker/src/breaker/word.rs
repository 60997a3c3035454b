use crate::window::Generation;
use perf_core::Moment;
use std::time::Duration;

/// A breaker's whole state in one word, so that every change of it is one exchange:
/// `{phase 2, generation 20, streak 4, payload 38}`.
///
/// The payload is the end of the open time while open, the tally of probes while half-open, the end of
/// the re-admission while closed (zero: none), and the kind of hold while held. A deadline in a word of
/// its own could be moved by a caller that was about to trip the breaker and lost the race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Closed,
    Open,
    HalfOpen,
    Held,
}

const PAYLOAD_BITS: u32 = 38;
const STREAK_BITS: u32 = 4;
const PAYLOAD_MASK: u64 = (1 << PAYLOAD_BITS) - 1;
const STREAK_MASK: u64 = (1 << STREAK_BITS) - 1;
const GENERATION_SHIFT: u32 = PAYLOAD_BITS + STREAK_BITS;
const PHASE_SHIFT: u32 = 62;

impl Word {
    /// Closed, in generation 0.
    pub(super) const START: Self = Self(0);

    /// Closed and not re-admitting by degrees: everything may pass.
    #[inline]
    pub(super) const fn is_calm(self) -> bool {
        self.0 & (PAYLOAD_MASK | (3 << PHASE_SHIFT)) == 0
    }

    pub(super) const fn phase(self) -> Phase {
        match self.0 >> PHASE_SHIFT {
            0 => Phase::Closed,
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            _ => Phase::Held,
        }
    }

    #[inline]
    pub(super) const fn generation(self) -> Generation {
        Generation::from_bits(self.0 >> GENERATION_SHIFT)
    }

    /// How many probes in a row have failed; stops at 15.
    pub(super) const fn streak(self) -> u64 {
        (self.0 >> PAYLOAD_BITS) & STREAK_MASK
    }

    pub(super) const fn payload(self) -> u64 {
        self.0 & PAYLOAD_MASK
    }

    pub(super) const fn with_payload(self, payload: u64) -> Self {
        Self((self.0 & !PAYLOAD_MASK) | (payload & PAYLOAD_MASK))
    }

    /// The first word of the next generation.
    pub(super) fn next(self, phase: Phase, streak: u64, payload: u64) -> Self {
        let phase = match phase {
            Phase::Closed => 0,
            Phase::Open => 1,
            Phase::HalfOpen => 2,
            Phase::Held => 3,
        };
        let generation = self.generation().next().bits();
        Self(
            (phase << PHASE_SHIFT)
                | (generation << GENERATION_SHIFT)
                | (streak.min(STREAK_MASK) << PAYLOAD_BITS)
                | (payload & PAYLOAD_MASK),
        )
    }
}

/// A deadline in units of 2²⁰ ns, about a millisecond, rounded up; 38 bits last for nine years of uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(pub(super) u64);

const UNIT_BITS: u32 = 20;

impl Deadline {
    pub(super) fn after(now: Moment, duration: Duration) -> Self {
        let nanos = now.saturating_add(duration).as_nanos();
        let units = nanos.saturating_add((1 << UNIT_BITS) - 1) >> UNIT_BITS;
        Self(units.min(PAYLOAD_MASK))
    }

    /// What is left of it, zero once it is reached.
    #[inline]
    pub(super) const fn left(self, now: Moment) -> Duration {
        Duration::from_nanos((self.0 << UNIT_BITS).saturating_sub(now.as_nanos()))
    }
}

/// The probes of one half-open generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) in_flight: u64,
    pub(super) successes: u64,
    pub(super) failures: u64,
    /// How many generations of probes hung before this one; stops at 31.
    pub(super) hung: u64,
    /// Moves with each probe given out: a tally that one probe has left and another joined is a new one
    /// to whoever finds that the lease is over.
    pub(super) turn: u64,
}

const TALLY_BITS: u32 = 10;
const TALLY_MASK: u64 = (1 << TALLY_BITS) - 1;
const HUNG_SHIFT: u32 = 3 * TALLY_BITS;
const HUNG_MASK: u64 = (1 << 5) - 1;
const TURN_SHIFT: u32 = HUNG_SHIFT + 5;
const TURN_MASK: u64 = (1 << 3) - 1;

impl Tally {
    pub(super) const MOST_PROBES: u64 = TALLY_MASK;

    /// The first probe of a generation is given to the caller that begins it.
    pub(super) fn first(hung: u64) -> Self {
        Self {
            in_flight: 1,
            hung: hung.min(HUNG_MASK),
            ..Self::default()
        }
    }

    /// The tally once another probe has been given out.
    pub(super) const fn with_another(self) -> Self {
        Self {
            in_flight: self.in_flight + 1,
            turn: (self.turn + 1) & TURN_MASK,
            ..self
        }
    }

    pub(super) const fn unpack(payload: u64) -> Self {
        Self {
            in_flight: payload & TALLY_MASK,
            successes: (payload >> TALLY_BITS) & TALLY_MASK,
            failures: (payload >> (2 * TALLY_BITS)) & TALLY_MASK,
            hung: (payload >> HUNG_SHIFT) & HUNG_MASK,
            turn: (payload >> TURN_SHIFT) & TURN_MASK,
        }
    }

    pub(super) const fn pack(self) -> u64 {
        self.in_flight
            | (self.successes << TALLY_BITS)
            | (self.failures << (2 * TALLY_BITS))
            | (self.hung << HUNG_SHIFT)
            | (self.turn << TURN_SHIFT)
    }

    /// Permits that are out or spent. A probe whose result is ignored gives its permit back.
    pub(super) const fn taken(self) -> u64 {
        self.in_flight + self.successes + self.failures
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_parts_of_a_word_do_not_touch_each_other(
            word: u64, streak in 0..=STREAK_MASK, payload in 0..=PAYLOAD_MASK, other in 0..=PAYLOAD_MASK,
        ) {
            for phase in [Phase::Closed, Phase::Open, Phase::HalfOpen, Phase::Held] {
                let next = Word(word).next(phase, streak, payload).with_payload(other);
                prop_assert_eq!(next.phase(), phase);
                prop_assert_eq!(next.generation(), Word(word).generation().next());
                prop_assert_eq!((next.streak(), next.payload()), (streak, other));
            }
        }

        #[test]
        fn a_tally_survives_packing(
            in_flight in 0..1024_u64, successes in 0..1024_u64, failures in 0..1024_u64,
            hung in 0..32_u64, turn in 0..8_u64,
        ) {
            let tally = Tally { in_flight, successes, failures, hung, turn };
            prop_assert_eq!(Tally::unpack(tally.pack()), tally);
            prop_assert!(tally.pack() <= PAYLOAD_MASK);
        }

        #[test]
        fn a_deadline_is_never_early(now in 0..u64::MAX / 4, nanos in 0..u64::MAX / 128) {
            let (now, span) = (Moment::from_nanos(now >> 10), Duration::from_nanos(nanos));
            let left = Deadline::after(now, span).left(now);
            prop_assert!(left >= span && left <= span + Duration::from_nanos(1 << UNIT_BITS));
        }
    }
}

use crate::window::Generation;
use std::num::NonZeroU64;

/// What a permit was given for: `{generation 20, purpose 2}`. One number travels in a register; an enum beside
/// a moment would travel through memory, at the price of the rest of a healthy call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission(NonZeroU64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The call enters the window of its generation.
    Counted,
    /// The call is a probe of its generation.
    Probe,
    /// Nobody asks how the call ends.
    Unrecorded,
}

const PURPOSE_BITS: u32 = 2;

impl Admission {
    #[inline]
    pub(super) fn counted(generation: Generation) -> Self {
        Self::new(Purpose::Counted, generation)
    }

    #[inline]
    pub(super) fn new(purpose: Purpose, generation: Generation) -> Self {
        let purpose = NonZeroU64::MIN.saturating_add(purpose as u64);
        Self(purpose | (generation.bits() << PURPOSE_BITS))
    }

    #[inline]
    pub(super) const fn purpose(self) -> Purpose {
        match self.0.get() & ((1 << PURPOSE_BITS) - 1) {
            1 => Purpose::Counted,
            2 => Purpose::Probe,
            _ => Purpose::Unrecorded,
        }
    }

    #[inline]
    pub(super) const fn generation(self) -> Generation {
        Generation::from_bits(self.0.get() >> PURPOSE_BITS)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn both_parts_survive_packing() {
        for bits in [0, 1, 2, (1 << Generation::BITS) - 1] {
            for purpose in [Purpose::Counted, Purpose::Probe, Purpose::Unrecorded] {
                let admission = Admission::new(purpose, Generation(bits));
                let parts = (admission.purpose(), admission.generation());
                assert_eq!(parts, (purpose, Generation(bits)));
            }
        }
    }
}

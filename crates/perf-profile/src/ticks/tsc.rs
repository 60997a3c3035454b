#![allow(unsafe_code, reason = "the time stamp counter has no safe intrinsic")]

/// Reads the time stamp counter, unordered with the instructions around it.
#[inline]
pub(super) fn read() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
    unsafe { std::arch::x86_64::_rdtsc() }
}

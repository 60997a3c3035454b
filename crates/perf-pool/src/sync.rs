//! The primitives that the loom models replace.
//!
//! Everything whose interleavings matter takes them from here, so that one line decides whether the
//! machine or the model checker runs it.
#![allow(
    unreachable_pub,
    reason = "the exchange, which the loom models reach from outside, is made of them"
)]

#[cfg(loom)]
mod modelled;
#[cfg(not(loom))]
mod native;

#[cfg(loom)]
pub use modelled::*;
#[cfg(not(loom))]
pub use native::*;

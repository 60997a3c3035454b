//! The primitives that the loom models replace.
//!
//! Everything whose interleavings matter takes them from here, so that one line decides whether the
//! machine or the model checker runs it.
#![cfg_attr(
    not(loom),
    allow(
        unreachable_pub,
        reason = "the loom models reach the exchange from outside"
    )
)]

#[cfg(loom)]
mod modelled;
#[cfg(not(loom))]
mod native;

#[cfg(loom)]
pub use modelled::*;
#[cfg(not(loom))]
pub use native::*;

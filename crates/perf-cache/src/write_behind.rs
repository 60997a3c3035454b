//! Writes that are acknowledged before the source has them.
//!
//! A change goes into the journal, if there is one, then into the set of what is pending and into the
//! cache, and is acknowledged. A task writes pending changes to the source in batches: the oldest first, one
//! batch at a time, so that two changes of one key never overtake each other. Several changes of one
//! key that wait together are one, the last.
//!
//! - The set is bounded: who comes when it is full waits ([`WriteBehind::put`]) or is refused
//!   ([`WriteBehind::try_put`]).
//! - A batch that fails is tried again, with a back-off. When its attempts are used up, each of its changes
//!   is tried alone, and those that fail go to the dead letters; without a place for these, the batch is
//!   tried for ever.
//! - The journal forgets a change when the source has it. A process that was killed between the two writes it
//!   again: writers set values, they don't add to them.
//!
//! The alternative, to let the source's own queue do it, leaves readers with old values: here what is
//! pending can be read, even where the cache had no room for it.

mod builder;
mod handle;
mod pending;
mod work;

pub use builder::WriteBehindBuilder;
pub use handle::{WriteBehind, WriteBehindStats};
pub use pending::Change;

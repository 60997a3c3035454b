//! The far tier: a store that processes share, and the protocol that keeps old data out of it.
//!
//! One key holds either an [envelope](crate::envelope) or a *lease*. Who finds neither a valid envelope
//! nor a lease puts a lease there, loads, and replaces the lease by the value if it is still his own. An
//! invalidation removes whatever lies under the key, so the load it overtook cannot publish: it finds
//! its lease gone. Others who miss meanwhile see the lease and wait. A lease that is lost (evicted, or
//! its holder died) costs a second load and nothing else. For as long as it loads, a holder renews its lease, so others need not wait
//! long for one that died.
//!
//! Tags are generations: random numbers under the tag's name. An envelope carries the generations read
//! *before* its load; a reader compares them with those it reads together with the value, in the same
//! round trip. Invalidating a tag replaces one number, whatever the tag holds. Random numbers need no
//! order, so a generation that was lost and made anew can never match an old envelope. `clear` is a
//! generation that every envelope carries.
//!
//! Whatever fails here is a miss: a store that is down costs loads, never an error to a reader.

mod administer;
mod ask;
mod config;
mod known;
mod protocol;
mod standing;

pub use config::FarTier;
pub(crate) use protocol::{Far, Found, Grant, Sight, Wish};

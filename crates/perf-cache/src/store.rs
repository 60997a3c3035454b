//! Where entries are kept.
//!
//! A [`LocalStore`] holds values in this process and is asked on every read, so it is called directly
//! and synchronously. [`QuickStore`] is the default.

mod local;
#[cfg(feature = "moka")]
mod moka;
mod quick;

#[cfg(feature = "moka")]
pub use self::moka::MokaStore;
pub use local::{Capacity, Displaced, LocalStore, Weigher};
pub use quick::QuickStore;

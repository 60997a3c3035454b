//! What the concurrent parts are made of, so that loom can stand in for it.

#[cfg(loom)]
mod primitives {
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    /// Loom's lock with the shape of the usual one, which cannot be poisoned.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0
                .lock()
                .expect("a model that panics has failed anyway")
        }
    }

    /// The same keys in each run: a model must repeat exactly.
    pub(crate) fn hasher() -> ahash::RandomState {
        ahash::RandomState::with_seeds(1, 2, 3, 4)
    }
}

#[cfg(not(loom))]
mod primitives {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    /// Keys that nobody outside can know, so that nobody can choose keys that collide.
    pub(crate) fn hasher() -> ahash::RandomState {
        ahash::RandomState::new()
    }
}

// Holds settings that no model changes, and never across a modelled step.
pub(crate) use parking_lot::RwLock;
pub(crate) use primitives::{AtomicU32, AtomicU64, Mutex, Ordering, hasher};

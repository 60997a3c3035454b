use std::hash::Hash;

/// What a cache needs of its keys. Every type that has these traits has this one.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<T: Hash + Eq + Clone + Send + Sync + 'static> Key for T {}

/// What a cache needs of its values. Every type that has these traits has this one.
///
/// Each read clones: wrap what is not cheap to clone in an `Arc`. A value's `Drop` must not call into
/// the cache that holds it.
pub trait Value: Clone + Send + Sync + 'static {}

impl<T: Clone + Send + Sync + 'static> Value for T {}

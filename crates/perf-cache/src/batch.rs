use crate::LoadError;
use std::collections::HashMap;
use std::hash::Hash;

/// What a batch came to, key by key.
///
/// A key that the load left out of its answer is in neither map.
#[derive(Debug)]
#[non_exhaustive]
pub struct Batch<K, V, E> {
    /// The values.
    pub values: HashMap<K, V>,
    /// Why other keys have none.
    pub errors: HashMap<K, LoadError<E>>,
}

impl<K: Hash + Eq, V, E> Batch<K, V, E> {
    pub(crate) fn new(values: HashMap<K, V>) -> Self {
        Self {
            values,
            errors: HashMap::new(),
        }
    }

    /// The values, if no key met an error.
    ///
    /// # Errors
    ///
    /// One of the errors.
    pub fn into_result(self) -> Result<HashMap<K, V>, LoadError<E>> {
        match self.errors.into_values().next() {
            Some(error) => Err(error),
            None => Ok(self.values),
        }
    }
}

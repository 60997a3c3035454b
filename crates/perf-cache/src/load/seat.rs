use super::Call;
use crate::CancelPolicy;
use crate::bounds::{Key, Value};
use crate::flight::Flight;
use crate::store::LocalStore;
use std::sync::Arc;

/// A caller's place in a flight, given up when the caller is dropped.
pub(super) struct Seat<'a, K: Key, V: Value, S: LocalStore<K, V>> {
    call: &'a Call<K, V, S>,
    pub(super) flight: &'a Arc<Flight<V>>,
    kept: bool,
}

impl<'a, K: Key, V: Value, S: LocalStore<K, V>> Seat<'a, K, V, S> {
    pub(super) const fn new(call: &'a Call<K, V, S>, flight: &'a Arc<Flight<V>>) -> Self {
        Self {
            call,
            flight,
            kept: false,
        }
    }

    /// The flight has landed.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl<K: Key, V: Value, S: LocalStore<K, V>> Drop for Seat<'_, K, V, S> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let shared = &self.call.shared;
        let is_tied = shared.settings.cancel == CancelPolicy::WhenAbandoned;
        if is_tied && shared.near.leave(&self.call.key, self.flight) {
            self.flight.let_go();
        } else {
            self.flight.launch();
        }
    }
}

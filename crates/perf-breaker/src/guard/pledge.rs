use crate::breaker::{Outcome, Permit};

/// A breaker's permit whose call has not begun. Dropped, it says so: a wait for a place is no slow call.
pub(super) struct Pledge<'g>(Option<Permit<'g>>);

impl<'g> Pledge<'g> {
    pub(super) const fn new(permit: Option<Permit<'g>>) -> Self {
        Self(permit)
    }

    /// The call begins at once.
    pub(super) fn redeem(mut self) -> Option<Permit<'g>> {
        self.0.take()
    }

    /// The call begins after a wait.
    pub(super) fn redeem_late(mut self) -> Option<Permit<'g>> {
        let mut permit = self.0.take()?;
        permit.restart();
        Some(permit)
    }
}

impl Drop for Pledge<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.record(Outcome::Ignore);
        }
    }
}

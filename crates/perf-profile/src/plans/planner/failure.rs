use crate::ProfileError;

/// What a driver's error is to whoever asked for a plan.
pub(super) fn failed(error: &sqlx::Error) -> ProfileError {
    ProfileError::PlannerFailed {
        reason: error.to_string(),
    }
}

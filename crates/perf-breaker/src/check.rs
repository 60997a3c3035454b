//! Checks of settings, made once when a part is built.

use crate::error::ConfigError;
use std::time::Duration;

/// The longest time that a setting may span; a breaker's packed deadline lasts for nine.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A number within its range.
pub(crate) const fn range(
    setting: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<(), ConfigError> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(ConfigError::Range {
        setting,
        value,
        least,
        most,
    })
}

/// A duration of at least `least` and at most a year.
pub(crate) fn span(
    setting: &'static str,
    value: Duration,
    least: Duration,
) -> Result<(), ConfigError> {
    if value >= least && value <= YEAR {
        return Ok(());
    }
    Err(ConfigError::Span {
        setting,
        value,
        least,
        most: YEAR,
    })
}

/// A share above 0 and at most 1.
pub(crate) fn share(setting: &'static str, value: f64) -> Result<(), ConfigError> {
    if value > 0.0 && value <= 1.0 {
        Ok(())
    } else {
        Err(ConfigError::Rate { setting, value })
    }
}

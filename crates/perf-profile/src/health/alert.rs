use super::Level;
use async_trait::async_trait;
use std::error::Error;
use std::fmt;

/// An objective changed its level.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Alert {
    /// The monitor's name.
    pub monitor: String,
    /// The objective's name.
    pub objective: &'static str,
    /// The level before.
    pub from: Level,
    /// The level now; [`Level::Met`] means that it recovered.
    pub to: Level,
    /// The figure that was seen last.
    pub value: f64,
}

/// Where alerts go. An async closure is written as a type of one method.
#[async_trait]
pub trait AlertSink: Send + Sync {
    /// Delivers one alert.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being delivered: the monitor counts it and goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropped after 10 s; an alert may be delivered all the same.
    async fn send(&self, alert: &Alert) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Writes alerts as `tracing` events of target `perf_profile::alert`: errors when critical, warnings when
/// missed, information when met again.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAlerts;

#[async_trait]
impl AlertSink for LogAlerts {
    async fn send(&self, alert: &Alert) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Alert {
            monitor,
            objective,
            value,
            ..
        } = alert;
        match alert.to {
            Level::Met => {
                tracing::info!(target: "perf_profile::alert", monitor, objective, value, "{alert}");
            }
            Level::Missed => {
                tracing::warn!(target: "perf_profile::alert", monitor, objective, value, "{alert}");
            }
            Level::Critical => {
                tracing::error!(target: "perf_profile::alert", monitor, objective, value, "{alert}");
            }
        }
        Ok(())
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            monitor,
            objective,
            from,
            to,
            value,
        } = self;
        write!(f, "{monitor}: {objective} is {to}, was {from}: {value}")
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Critical => "critical",
        })
    }
}

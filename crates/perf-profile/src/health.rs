//! Objectives, and alarms that mean something.
//!
//! An [`Objective`] has two limits: the target, which is what was promised, and the critical one, at
//! which somebody must be woken. [`SloMonitor`] judges the last few minutes against them, so that neither
//! an hour of good figures hides a bad minute nor one slow request rings a bell: a level worsens only when
//! it was seen twice in a row and recovers only after three times, whatever it does in between.

mod alert;
mod monitor;
mod objective;
#[cfg(feature = "http-client")]
mod webhook;
mod window;

pub use alert::{Alert, AlertSink, LogAlerts};
pub use monitor::{ObjectiveStatus, SloMonitor, SloMonitorBuilder};
pub use objective::{Level, Measure, Objective};
#[cfg(feature = "http-client")]
pub use webhook::WebhookAlerts;
pub use window::WindowStats;

//! Health and figures, pulled and not pushed.
//!
//! A part keeps its own counters and implements [`Inspect`]; whoever wants to see them asks. The hot
//! path pays one relaxed increment instead of a call to an observer for every operation. A
//! [`Registry`] holds parts weakly, so registering one never keeps it alive.

mod registry;

use crate::histogram::Summary;
use std::borrow::Cow;

pub use registry::{Inspection, Registry};

/// A part whose health and figures can be read at any time.
///
/// Every method must be quick, must not block on I/O, and must not call back into a [`Registry`].
pub trait Inspect: Send + Sync {
    /// The name its user gave it, unique among parts of its kind.
    fn name(&self) -> Cow<'_, str>;

    /// What it is, in `snake_case`: `"cache"`, `"circuit_breaker"`, `"pool"`.
    fn kind(&self) -> &'static str;

    /// Whether it can do its work.
    fn health(&self) -> Health {
        Health::Healthy
    }

    /// Appends its figures as they are now.
    fn samples(&self, samples: &mut Vec<Sample>);
}

/// Whether a part can do its work.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "status", content = "reason")]
#[non_exhaustive]
pub enum Health {
    /// It works.
    #[default]
    Healthy,
    /// It works with less than usual: a cache without its far tier, a breaker that probes.
    Degraded(Cow<'static, str>),
    /// It refuses or fails its work.
    Unhealthy(Cow<'static, str>),
}

/// One named figure.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Sample {
    /// `snake_case`, with the unit last: `"wait_seconds"`, `"near_bytes"`. A counter's name has no
    /// `_total`; a renderer adds what its format asks for.
    pub name: &'static str,
    /// What tells samples of one name apart: `("tier", "near")`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<(&'static str, Cow<'static, str>)>,
    /// The figure.
    pub value: Value,
}

/// What kind of figure a sample is.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Value {
    /// Only ever grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    /// A distribution of durations.
    Histogram(Summary),
}

impl Sample {
    /// A figure that only grows.
    #[must_use]
    pub const fn counter(name: &'static str, value: u64) -> Self {
        Self {
            name,
            label: None,
            value: Value::Counter(value),
        }
    }

    /// A figure that goes up and down.
    #[must_use]
    pub const fn gauge(name: &'static str, value: f64) -> Self {
        Self {
            name,
            label: None,
            value: Value::Gauge(value),
        }
    }

    /// A distribution of durations.
    #[must_use]
    pub const fn histogram(name: &'static str, summary: Summary) -> Self {
        Self {
            name,
            label: None,
            value: Value::Histogram(summary),
        }
    }

    /// The same figure, told apart from others of its name.
    #[must_use]
    pub fn with_label(mut self, key: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.label = Some((key, value.into()));
        self
    }
}

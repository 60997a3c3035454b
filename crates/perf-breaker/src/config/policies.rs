use super::human;
use crate::adaptive::{Aimd, Gradient, Vegas};
use crate::budget::RetryBudget;
use crate::bulkhead::Bulkhead;
use crate::error::ConfigError;
use crate::hedge::Hedge;
use crate::name::Name;
use crate::quota::Quota;
use crate::retry::Retry;
use crate::throttle::Throttle;
use perf_core::{Backoff, Jitter};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`RetryBudget`]. There is no default: retries and hedges have different ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetSettings {
    /// How many retries each first attempt pays for, 0 to 1.
    pub share: f64,
    /// What is granted besides.
    pub allowance: Quota,
}

impl BudgetSettings {
    /// The budget.
    ///
    /// # Errors
    ///
    /// As [`RetryBudget::new`].
    pub fn build(&self) -> Result<RetryBudget, ConfigError> {
        RetryBudget::new(self.share, &self.allowance)
    }
}

/// The settings of a [`Retry`]; the methods of its builder say what each means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetrySettings {
    /// The number of attempts, the first among them.
    pub attempts: u32,
    /// The wait before the second attempt, doubled before each further one.
    #[serde(with = "human")]
    pub base: Duration,
    /// The longest wait that the back-off comes to.
    #[serde(with = "human")]
    pub cap: Duration,
    /// Whether each wait is drawn from zero to its full length.
    pub jitter: bool,
    /// The longest wait that a callee may ask for.
    #[serde(with = "human")]
    pub longest_wait: Duration,
    /// Where retries are taken from; the builder's default if it is missing.
    pub budget: Option<BudgetSettings>,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(2),
            jitter: true,
            longest_wait: Duration::from_secs(2),
            budget: None,
        }
    }
}

impl RetrySettings {
    /// The policy.
    ///
    /// # Errors
    ///
    /// As [`RetryBuilder::build`](crate::RetryBuilder::build) and [`RetryBudget::new`].
    pub fn build(&self) -> Result<Retry, ConfigError> {
        let jitter = if self.jitter {
            Jitter::Full
        } else {
            Jitter::None
        };
        let backoff = Backoff::exponential(self.base)
            .with_cap(self.cap)
            .with_jitter(jitter);
        let mut builder = Retry::builder()
            .attempts(self.attempts)
            .backoff(backoff)
            .longest_wait(self.longest_wait);
        if let Some(budget) = &self.budget {
            builder = builder.budget(Arc::new(budget.build()?));
        }
        builder.build()
    }
}

/// The settings of a [`Bulkhead`]; the methods of its builder say what each means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BulkheadSettings {
    /// How many calls may be under way at once. There is no default.
    pub places: usize,
    /// How many may wait.
    #[serde(default)]
    pub queue: usize,
    /// How long one may wait.
    #[serde(default, with = "human::optional")]
    pub max_wait: Option<Duration>,
}

impl BulkheadSettings {
    /// The bulkhead.
    ///
    /// # Errors
    ///
    /// As [`BulkheadBuilder::build`](crate::BulkheadBuilder::build).
    pub fn build(&self, name: impl Into<Name>) -> Result<Bulkhead, ConfigError> {
        let mut builder = Bulkhead::builder(name, self.places).queue(self.queue);
        if let Some(wait) = self.max_wait {
            builder = builder.max_wait(wait);
        }
        builder.build()
    }
}

/// The settings of a [`Hedge`]; the methods of its builder say what each means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HedgeSettings {
    /// After what time a call is late; without it, the percentile decides.
    #[serde(with = "human::optional")]
    pub delay: Option<Duration>,
    /// Beyond which share of calls one is late.
    pub percentile: f64,
    /// Where second calls are taken from; the builder's default if it is missing.
    pub budget: Option<BudgetSettings>,
}

impl Default for HedgeSettings {
    fn default() -> Self {
        Self {
            delay: None,
            percentile: 0.95,
            budget: None,
        }
    }
}

impl HedgeSettings {
    /// The policy.
    ///
    /// # Errors
    ///
    /// As [`HedgeBuilder::build`](crate::HedgeBuilder::build) and [`RetryBudget::new`].
    pub fn build(&self) -> Result<Hedge, ConfigError> {
        let mut builder = match self.delay {
            Some(delay) => Hedge::builder().delay(delay),
            None => Hedge::builder().percentile(self.percentile),
        };
        if let Some(budget) = &self.budget {
            builder = builder.budget(Arc::new(budget.build()?));
        }
        builder.build()
    }
}

/// The settings of a [`Throttle`]; the methods of its builder say what each means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ThrottleSettings {
    /// What the window spans.
    #[serde(with = "human")]
    pub window: Duration,
    /// How many times what is accepted is sent.
    pub multiplier: f64,
    /// How many calls the window must hold before any is refused.
    pub min_calls: u32,
    /// From what age on a dropped call was not accepted.
    #[serde(with = "human")]
    pub patience: Duration,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(120),
            multiplier: 2.0,
            min_calls: 20,
            patience: Duration::from_secs(1),
        }
    }
}

impl ThrottleSettings {
    /// The throttle.
    ///
    /// # Errors
    ///
    /// As [`ThrottleBuilder::build`](crate::ThrottleBuilder::build).
    pub fn build(&self, name: impl Into<Name>) -> Result<Throttle, ConfigError> {
        Throttle::builder(name)
            .window(self.window)
            .multiplier(self.multiplier)
            .min_calls(self.min_calls)
            .patience(self.patience)
            .build()
    }
}

/// The bounds of an [`AdaptiveLimit`](crate::AdaptiveLimit). There is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdaptiveSettings {
    /// The lowest limit, and the one at first.
    pub least: u32,
    /// The highest limit.
    pub most: u32,
}

impl AdaptiveSettings {
    /// A [`Gradient`] within the bounds.
    ///
    /// # Errors
    ///
    /// As [`Gradient::between`].
    pub fn gradient(&self) -> Result<Gradient, ConfigError> {
        Gradient::between(self.least, self.most)
    }

    /// A [`Vegas`] within the bounds.
    ///
    /// # Errors
    ///
    /// As [`Vegas::between`].
    pub fn vegas(&self) -> Result<Vegas, ConfigError> {
        Vegas::between(self.least, self.most)
    }

    /// An [`Aimd`] within the bounds.
    ///
    /// # Errors
    ///
    /// As [`Aimd::between`].
    pub fn aimd(&self) -> Result<Aimd, ConfigError> {
        Aimd::between(self.least, self.most)
    }
}

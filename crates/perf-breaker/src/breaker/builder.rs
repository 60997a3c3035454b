use super::CircuitBreaker;
use super::classify::AnyError;
use super::core::{Core, Time};
use super::machine::{Machine, Probes};
use super::open_time::OpenTime;
use super::rules::{Rate, Rules};
use super::tuning::{Limits, Tuning};
use super::word::Tally;
use crate::check::{range, span};
use crate::error::ConfigError;
use crate::name::Name;
use crate::sync::AtomicU64;
use crate::timeline::Timeline;
use crate::window::{CountWindow, TimeWindow, Window};
use perf_core::Clock;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a [`CircuitBreaker`], checked by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | window | the last 10 s, in 10 buckets |
/// | failure rate | opens at 50 %, from 20 calls on |
/// | consecutive failures | 5, while the window holds fewer than 20 calls |
/// | slow calls | not judged |
/// | open time | 5 s, doubled to at most 60 s while probes fail, ±25 % |
/// | probes | 3, of which 2 must succeed, each within the open time at first |
/// | call time-out | none |
/// | re-admission | all calls at once |
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct BreakerBuilder<C = AnyError> {
    name: Name,
    clock: Time,
    classify: C,
    settings: Settings,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    window: Span,
    failure_rate: Option<f64>,
    slow: Option<(Duration, f64)>,
    consecutive: u32,
    min_calls: Option<u32>,
    open_for: Duration,
    max_open: Duration,
    jitter: f64,
    probes: u16,
    probe_successes: Option<u16>,
    probe_lease: Option<Duration>,
    timeout: Option<Duration>,
    readmission: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Span {
    Calls(usize),
    Time(Duration, usize),
}

const DEFAULT_MIN_CALLS: u32 = 20;
const MILLISECOND: Duration = Duration::from_millis(1);

const DEFAULTS: Settings = Settings {
    window: Span::Time(Duration::from_secs(10), 10),
    failure_rate: Some(0.5),
    slow: None,
    consecutive: 5,
    min_calls: None,
    open_for: Duration::from_secs(5),
    max_open: Duration::from_secs(60),
    jitter: 0.25,
    probes: 3,
    probe_successes: None,
    probe_lease: None,
    timeout: None,
    readmission: Duration::ZERO,
};

impl BreakerBuilder {
    pub(super) const fn new(name: Name) -> Self {
        Self {
            name,
            clock: Time::System,
            classify: AnyError,
            settings: DEFAULTS,
        }
    }
}

impl<C> BreakerBuilder<C> {
    /// Judges the last `calls` calls; 1 to 1,000,000. Four bytes each.
    pub const fn count_window(mut self, calls: usize) -> Self {
        self.settings.window = Span::Calls(calls);
        self
    }

    /// Judges the calls of the last `time`, sliding by one of `buckets` at a time; 1 to 255 buckets of at
    /// least 1 ms.
    pub const fn time_window(mut self, time: Duration, buckets: usize) -> Self {
        self.settings.window = Span::Time(time, buckets);
        self
    }

    /// Opens when this share of calls has failed: above 0, at most 1.
    pub const fn failure_rate(mut self, rate: f64) -> Self {
        self.settings.failure_rate = Some(rate);
        self
    }

    /// Does not judge the share of failed calls.
    pub const fn without_failure_rate(mut self) -> Self {
        self.settings.failure_rate = None;
        self
    }

    /// Opens when this share of calls has taken `limit` or longer. A probe that slow has failed.
    ///
    /// It costs two clock reads a call.
    pub const fn slow_calls(mut self, limit: Duration, rate: f64) -> Self {
        self.settings.slow = Some((limit, rate));
        self
    }

    /// Judges the rates only once the window holds so many calls; at most what a count window holds.
    pub const fn min_calls(mut self, calls: u32) -> Self {
        self.settings.min_calls = Some(calls);
        self
    }

    /// Opens after so many failures in a row while the window holds fewer than the minimum of calls, or
    /// at any time if no rate is judged. 0 for no such rule.
    pub const fn consecutive_failures(mut self, failures: u32) -> Self {
        self.settings.consecutive = failures;
        self
    }

    /// Stays open for this long at first: 1 ms to a year, resolved to about 1 ms.
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.settings.open_for = time;
        self
    }

    /// Stays open for at most this long, however often the probes fail and whatever a result asks for.
    pub const fn max_open(mut self, time: Duration) -> Self {
        self.settings.max_open = time;
        self
    }

    /// Draws each open time from within this share of it, so that many instances do not probe at once;
    /// 0 to 1.
    pub const fn open_jitter(mut self, share: f64) -> Self {
        self.settings.jitter = share;
        self
    }

    /// Lets so many calls pass to see whether it works again; 1 to 1,023.
    pub const fn probes(mut self, probes: u16) -> Self {
        self.settings.probes = probes;
        self
    }

    /// Closes once so many probes have succeeded; by default two thirds, rounded up.
    pub const fn probe_successes(mut self, successes: u16) -> Self {
        self.settings.probe_successes = Some(successes);
        self
    }

    /// Gives up on probes that have not reported after this long and gives out new ones; by default the
    /// open time or the call time-out, whichever is longer. Each time that probes hang, the next ones have
    /// twice as long, up to an hour.
    pub const fn probe_lease(mut self, lease: Duration) -> Self {
        self.settings.probe_lease = Some(lease);
        self
    }

    /// Ends a call after this long and counts it as failed. A call that its owner drops later than that
    /// has failed as well.
    ///
    /// # Panics
    ///
    /// On the default clock, a call that has to wait panics outside a tokio runtime with its timer, and
    /// counts as failed. A [`clock`](Self::clock) with waits of its own needs none.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.settings.timeout = Some(limit);
        self
    }

    /// After closing, lets back in a share of calls that grows from a tenth to all over this time.
    pub const fn readmit_over(mut self, time: Duration) -> Self {
        self.settings.readmission = time;
        self
    }

    /// Judges results by `classify` instead of taking every error for a failure.
    pub fn classify<D>(self, classify: D) -> BreakerBuilder<D> {
        BreakerBuilder {
            name: self.name,
            clock: self.clock,
            classify,
            settings: self.settings,
        }
    }

    /// Reads time from `clock`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Time::Other(Arc::new(Timeline::begin(clock)));
        self
    }

    /// The breaker, closed.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the first setting that cannot work.
    ///
    /// ```
    /// use perf_breaker::{CircuitBreaker, ConfigError};
    ///
    /// let error = CircuitBreaker::builder("search").failure_rate(1.5).build().unwrap_err();
    /// assert_eq!(error.to_string(), "failure rate is 1.5, must be above 0 and at most 1");
    /// ```
    pub fn build(self) -> Result<CircuitBreaker<C>, ConfigError> {
        let tuning = self.settings.tuning()?;
        let limits = self.settings.limits()?;
        let core = Core {
            machine: Machine::new(self.settings.window()?, tuning),
            name: self.name,
            clock: self.clock,
            limits,
            rejected: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        };
        Ok(CircuitBreaker::from_parts(Arc::new(core), self.classify))
    }

    pub(crate) const fn name(&self) -> &Name {
        &self.name
    }

    /// Name, clock and classifier of this one with the settings of the other.
    pub(crate) fn with_settings_of(&self, other: &Self) -> Self
    where
        C: Clone,
    {
        Self {
            settings: other.settings,
            ..self.clone()
        }
    }

    /// The same settings under another name.
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = name.into();
        self
    }

    /// Lets a living breaker decide by these settings; name, clock and classifier stay its own.
    pub(super) fn apply(&self, core: &Core) -> Result<(), ConfigError> {
        let (tuning, limits) = (self.settings.tuning()?, self.settings.limits()?);
        if !self.settings.window()?.is_shaped_as(core.machine.window()) {
            return Err(ConfigError::Fixed { setting: "window" });
        }
        core.limits.replace(&limits);
        core.machine.tune(tuning);
        Ok(())
    }
}

impl Settings {
    fn tuning(&self) -> Result<Tuning, ConfigError> {
        // What is wrong with the window is said before what is wrong with rules that depend on it.
        self.window_shape()?;
        let (rules, open_time) = (self.rules()?, self.open_time()?);
        let probes = self.probes()?;
        if !self.readmission.is_zero() {
            span("re-admission time", self.readmission, MILLISECOND)?;
        }
        Ok(Tuning {
            rules,
            open_time,
            probes,
            readmission: self.readmission,
        })
    }

    fn window(&self) -> Result<Window, ConfigError> {
        self.window_shape()?;
        Ok(match self.window {
            Span::Calls(calls) => Window::Count(CountWindow::new(calls)),
            Span::Time(time, buckets) => {
                Window::Time(TimeWindow::new(buckets, nanos(time) / buckets as u64))
            }
        })
    }

    fn window_shape(&self) -> Result<(), ConfigError> {
        match self.window {
            Span::Calls(calls) => {
                range("window of calls", calls as u64, 1, CountWindow::MOST_CALLS)
            }
            Span::Time(time, buckets) => {
                let most = TimeWindow::MOST_BUCKETS;
                range("number of buckets", buckets as u64, 1, most)?;
                span("window", time, MILLISECOND.saturating_mul(small(buckets)))
            }
        }
    }

    fn rules(&self) -> Result<Rules, ConfigError> {
        let slow_rate = self.slow.map(|(_, fraction)| fraction);
        if self.failure_rate.is_none() && slow_rate.is_none() && self.consecutive == 0 {
            return Err(ConfigError::NoRule);
        }
        let most = match self.window {
            Span::Calls(calls) => small(calls),
            Span::Time(..) => u32::MAX,
        };
        let min_calls = self
            .min_calls
            .unwrap_or_else(|| DEFAULT_MIN_CALLS.min(most));
        range("minimum of calls", u64::from(min_calls), 1, u64::from(most))?;
        Ok(Rules {
            failure_rate: rate("failure rate", self.failure_rate)?,
            slow_rate: rate("slow call rate", slow_rate)?,
            consecutive: self.consecutive,
            min_calls,
        })
    }

    fn open_time(&self) -> Result<OpenTime, ConfigError> {
        span("open time", self.open_for, MILLISECOND)?;
        // Whoever sets a long open time has not asked for it to be cut to the default cap.
        let cap = self.max_open.max(self.open_for);
        span("longest open time", cap, MILLISECOND)?;
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError::Rate {
                setting: "open time jitter",
                value: self.jitter,
            });
        }
        Ok(OpenTime {
            base: self.open_for,
            cap,
            jitter: self.jitter,
        })
    }

    fn probes(&self) -> Result<Probes, ConfigError> {
        let limit = self.probes;
        range("number of probes", u64::from(limit), 1, Tally::MOST_PROBES)?;
        let needed = self.probe_successes.unwrap_or(limit - limit / 3);
        range(
            "needed probe successes",
            u64::from(needed),
            1,
            u64::from(limit),
        )?;
        let longest_call = self.timeout.unwrap_or(Duration::ZERO);
        let lease = self
            .probe_lease
            .unwrap_or_else(|| self.open_for.max(longest_call));
        span("probe lease", lease, MILLISECOND)?;
        Ok(Probes {
            limit,
            needed,
            lease,
        })
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let limit = |setting, limit: Option<Duration>| match limit {
            Some(limit) => span(setting, limit, Duration::from_nanos(1)).map(|()| nanos(limit)),
            None => Ok(u64::MAX),
        };
        Ok(Limits::new(
            limit("slow call limit", self.slow.map(|(limit, _)| limit))?,
            limit("call time-out", self.timeout)?,
        ))
    }
}

fn rate(setting: &'static str, fraction: Option<f64>) -> Result<Option<Rate>, ConfigError> {
    fraction
        .map(|value| Rate::new(value).ok_or(ConfigError::Rate { setting, value }))
        .transpose()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

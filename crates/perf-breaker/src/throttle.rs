//! Refusing on the caller's side what the callee would refuse anyway.
//!
//! An overloaded callee spends its last strength on saying no. The caller counts how much of what it asked was
//! lately accepted and refuses the excess itself, at random, with the probability
//! `max(0, (requests − K · accepts) / (requests + 1))`: with K = 2 it sends twice what is accepted, enough to
//! see a recovery at once. A breaker is the wrong tool there: it turns away everyone for a time, this as
//! many as are too many.
//!
//! Source: *Site Reliability Engineering*, chapter 21, "Handling Overload".

use crate::breaker::{AnyError, Classify, Outcome};
use crate::check;
use crate::error::{ConfigError, GuardError};
use crate::holder::Holder;
use crate::name::Name;
use crate::overload::{Overload, OverloadCause};
use crate::sync::{AtomicU64, Ordering::Relaxed};
use crate::timeline::Timeline;
use crate::window::{Generation, TimeWindow, Trace};
use perf_core::{Clock, Inspect, Moment, Registry, Sample, SystemClock};
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Refuses as large a share of calls as the callee would. Clones share their counts.
///
/// | setting | default |
/// |---|---|
/// | window | 2 min, in 24 buckets |
/// | multiplier K | 2 |
/// | minimum of calls | 20 in the window |
/// | patience | 1 s |
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::Throttle;
///
/// let throttle = Throttle::builder("search").build()?;
/// for _ in 0..1_000 {
///     let reply = throttle.call(async { Err::<(), _>("503") }).await;
///     assert!(reply.is_err());
/// }
/// assert!(throttle.refusal_probability() > 0.9);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Throttle<K = SystemClock> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    name: Name,
    time: Timeline<K>,
    /// Calls that came, whether they were made or refused here.
    requests: TimeWindow,
    accepts: TimeWindow,
    multiplier: f64,
    min_calls: u64,
    patience: Duration,
    bucket: Duration,
    refused: AtomicU64,
}

/// The settings of a [`Throttle`], checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct ThrottleBuilder<K = SystemClock> {
    name: Name,
    window: Duration,
    multiplier: f64,
    min_calls: u32,
    patience: Duration,
    clock: K,
}

const BUCKETS: u32 = 24;
const ONLY: Generation = Generation(0);

impl Throttle {
    /// Settings to build from. The name appears in refusals and figures.
    pub fn builder(name: impl Into<Name>) -> ThrottleBuilder {
        ThrottleBuilder {
            name: name.into(),
            window: Duration::from_secs(120),
            multiplier: 2.0,
            min_calls: 20,
            patience: Duration::from_secs(1),
            clock: SystemClock,
        }
    }
}

impl<K: Clock> ThrottleBuilder<K> {
    /// Counts the calls of the last `time`; 24 ms to a year.
    pub const fn window(mut self, time: Duration) -> Self {
        self.window = time;
        self
    }

    /// Sends this many times what is accepted; 1 to 100. Nearer to 1 spares the callee more and sees its
    /// recovery later.
    pub const fn multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = multiplier;
        self
    }

    /// Refuses nothing before the window holds so many calls.
    pub const fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Counts a call that its owner drops later than this as not accepted; dropped earlier, it was not made.
    pub const fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Reads time from `clock`.
    pub fn clock<L: Clock>(self, clock: L) -> ThrottleBuilder<L> {
        ThrottleBuilder {
            name: self.name,
            window: self.window,
            multiplier: self.multiplier,
            min_calls: self.min_calls,
            patience: self.patience,
            clock,
        }
    }

    /// The throttle, with an empty window.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the first setting that cannot work.
    pub fn build(self) -> Result<Throttle<K>, ConfigError> {
        check::span("window", self.window, Duration::from_millis(BUCKETS.into()))?;
        if !(1.0..=100.0).contains(&self.multiplier) {
            return Err(ConfigError::Number {
                setting: "multiplier",
                value: self.multiplier,
                least: 1.0,
                most: 100.0,
            });
        }
        let bucket = self.window / BUCKETS;
        let width = u64::try_from(bucket.as_nanos()).unwrap_or(u64::MAX);
        let window = || TimeWindow::new(BUCKETS as usize, width);
        let shared = Shared {
            name: self.name,
            time: Timeline::begin(self.clock),
            requests: window(),
            accepts: window(),
            multiplier: self.multiplier,
            min_calls: self.min_calls.into(),
            patience: self.patience,
            bucket,
            refused: AtomicU64::new(0),
        };
        Ok(Throttle {
            shared: Arc::new(shared),
        })
    }
}

impl<K: Clock> Throttle<K> {
    /// Awaits `future` unless the call is refused. Every error counts as not accepted.
    ///
    /// # Errors
    ///
    /// [`GuardError::Overloaded`] if it is refused, [`GuardError::Inner`] with the call's own error.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped counts as not accepted if it lasted longer than the patience, and not at all
    /// otherwise.
    pub async fn call<T, E, F>(&self, future: F) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.call_judged(future, &AnyError).await
    }

    /// As [`call`](Self::call); what `classify` calls a success was accepted, a failure was not, and what it
    /// ignores does not count. An error that the callee took work to find, such as "not found", was
    /// accepted.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_judged<T, E, F>(
        &self,
        future: F,
        classify: &impl Classify<T, E>,
    ) -> Result<T, GuardError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let allowance = self.admit()?;
        let result = future.await;
        allowance.tell(classify.classify(&result));
        result.map_err(GuardError::Inner)
    }

    /// An allowance for one call, for what is no future.
    ///
    /// # Errors
    ///
    /// An [`Overload`] if the call is refused.
    pub fn admit(&self) -> Result<Allowance<'_, K>, Overload> {
        self.admit_if(fastrand::f64())
    }

    /// As [`admit`](Self::admit), with the random number: 0 is refused as soon as anything is, 1 never.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_if(&self, random: f64) -> Result<Allowance<'_, K>, Overload> {
        self.shared.admit_if(random)?;
        Ok(Allowance::begin(Holder::Borrowed(&self.shared)))
    }

    /// As [`admit`](Self::admit), and borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit).
    pub fn admit_owned(&self) -> Result<Allowance<'static, K>, Overload> {
        self.shared.admit_if(fastrand::f64())?;
        Ok(Allowance::begin(Holder::Owned(Arc::clone(&self.shared))))
    }

    /// The share of calls that is refused now.
    #[must_use]
    pub fn refusal_probability(&self) -> f64 {
        self.shared.refusal_probability(self.shared.time.now())
    }

    /// Shows the throttle in `registry` for as long as it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }
}

impl<K: Clock> Shared<K> {
    fn admit_if(&self, random: f64) -> Result<(), Overload> {
        let now = self.time.now();
        if random >= self.refusal_probability(now) {
            return Ok(());
        }
        self.count(&self.requests, now);
        self.refused.fetch_add(1, Relaxed);
        Err(Overload {
            name: self.name.clone(),
            cause: OverloadCause::Throttled,
            retry_after: self.bucket,
        })
    }

    fn refusal_probability(&self, now: Moment) -> f64 {
        let requests = self.requests.counts(ONLY, now).calls;
        if requests < self.min_calls {
            return 0.0;
        }
        let accepts = self.accepts.counts(ONLY, now).calls;
        refusal_probability(requests, accepts, self.multiplier)
    }

    fn count(&self, window: &TimeWindow, now: Moment) {
        window.record(ONLY, Trace::GOOD, 0, now, || true);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a window counts far fewer than 2⁵² calls"
)]
fn refusal_probability(requests: u64, accepts: u64, multiplier: f64) -> f64 {
    let excess = requests as f64 - multiplier * accepts as f64;
    (excess / (requests as f64 + 1.0)).max(0.0)
}

/// The right to make one call past a [`Throttle`], and the duty to say whether it was accepted.
#[derive(Debug)]
#[must_use = "an allowance that is dropped at once counts as a call that was not made"]
pub struct Allowance<'t, K: Clock = SystemClock> {
    shared: Holder<'t, Shared<K>>,
    started: Moment,
    is_open: bool,
}

impl<'t, K: Clock> Allowance<'t, K> {
    fn begin(shared: Holder<'t, Shared<K>>) -> Self {
        Self {
            started: shared.time.now(),
            shared,
            is_open: true,
        }
    }

    /// The callee did its work.
    pub fn accepted(mut self) {
        let now = self.close();
        self.shared.count(&self.shared.requests, now);
        self.shared.count(&self.shared.accepts, now);
    }

    /// The callee refused or failed.
    pub fn not_accepted(mut self) {
        let now = self.close();
        self.shared.count(&self.shared.requests, now);
    }

    /// How the call ended says nothing about the callee's load.
    pub fn ignore(mut self) {
        self.is_open = false;
    }

    pub(crate) fn tell(self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.accepted(),
            Outcome::Failure | Outcome::OpenFor(_) => self.not_accepted(),
            Outcome::Ignore => self.ignore(),
        }
    }

    fn close(&mut self) -> Moment {
        self.is_open = false;
        self.shared.time.now()
    }
}

impl<K: Clock> Drop for Allowance<'_, K> {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let now = self.shared.time.now();
        if std::thread::panicking() || now.since(self.started) >= self.shared.patience {
            self.shared.count(&self.shared.requests, now);
        }
    }
}

impl<K> Clone for Throttle<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<K: Clock> Inspect for Shared<K> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "throttle"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let now = self.time.now();
        samples.extend([
            Sample::gauge("refusal_share", self.refusal_probability(now)),
            Sample::counter("refused", self.refused.load(Relaxed)),
        ]);
    }
}

use super::recorder::Recorder;
use super::{LoadReport, Stages, Target, closed, open};
use crate::ProfileError;
use perf_core::{Clock, SystemClock};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// Sends load to a [`Target`] and reports what became of it.
///
/// Time is tokio's, so a test under paused time controls it. The timer's resolution of about 1 ms is part
/// of the reported lag.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), perf_profile::ProfileError> {
/// use perf_profile::{LoadTest, Stages};
/// use std::{convert::Infallible, time::Duration};
///
/// let work = |_number| async {
///     tokio::time::sleep(Duration::from_millis(20)).await;
///     Ok::<_, Infallible>(())
/// };
/// let stages = Stages::at(50.0).ramp_to(100.0, Duration::from_secs(2)).hold(Duration::from_secs(3));
/// let report = LoadTest::open(&stages)?.warm_up(Duration::from_secs(1)).run(work).await?;
/// assert_eq!(report.succeeded, 450);
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a load test does nothing until it runs"]
pub struct LoadTest {
    model: Model,
    pub(super) warm_up: Duration,
    pub(super) timeout: Duration,
    pub(super) max_requests: u64,
    pub(super) max_unanswered: NonZeroUsize,
    pub(super) seed: Option<u64>,
}

#[derive(Clone, Debug)]
enum Model {
    Open(Stages),
    Closed(NonZeroUsize, Duration),
}

impl LoadTest {
    /// Requests that come when they are due, whatever became of the others: the open model.
    ///
    /// # Errors
    ///
    /// [`ProfileError::InvalidLoad`] when the stages take no time, or have a rate that is no number, is
    /// negative, above 10,000,000 a second, or 0 throughout.
    pub fn open(stages: &Stages) -> Result<Self, ProfileError> {
        stages.validate()?;
        Ok(Self::new(Model::Open(stages.clone())))
    }

    /// `users` who each send a request, wait for its answer and send the next, for `duration`: the closed
    /// model.
    ///
    /// # Errors
    ///
    /// [`ProfileError::InvalidLoad`] when `duration` is zero.
    pub fn closed(users: NonZeroUsize, duration: Duration) -> Result<Self, ProfileError> {
        if duration.is_zero() {
            let reason = "a closed load must take some time";
            return Err(ProfileError::InvalidLoad { reason });
        }
        Ok(Self::new(Model::Closed(users, duration)))
    }

    const fn new(model: Model) -> Self {
        Self {
            model,
            warm_up: Duration::ZERO,
            timeout: Duration::from_secs(30),
            max_requests: u64::MAX,
            max_unanswered: match NonZeroUsize::new(10_000) {
                Some(limit) => limit,
                None => NonZeroUsize::MIN,
            },
            seed: None,
        }
    }

    /// Sends load for this long beforehand, without counting it: at the first rate, or by all users.
    /// Default: none.
    pub const fn warm_up(mut self, duration: Duration) -> Self {
        self.warm_up = duration;
        self
    }

    /// From when on a request is dropped and counts as failed. Default: 30 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends at most so many requests, warm-up included. Default: no limit.
    pub const fn max_requests(mut self, limit: u64) -> Self {
        self.max_requests = limit;
        self
    }

    /// How many requests of the open model may be unanswered at a time, which bounds memory and
    /// connections. Further ones are sent late; the wait is part of their latency, and
    /// [`LoadReport::delayed`] counts them. Default: 10,000.
    pub const fn max_unanswered(mut self, limit: NonZeroUsize) -> Self {
        self.max_unanswered = limit;
        self
    }

    /// Requests of the open model come at random, as those of many independent people do (a Poisson
    /// process), the same ones for the same seed. Default: evenly spaced.
    pub const fn random_arrivals(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Runs it to its end.
    ///
    /// Failed, timed-out and panicking requests are counted, they do not end the test.
    ///
    /// # Errors
    ///
    /// [`ProfileError::TargetUnreachable`] when the target's probe fails: no load is sent then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops all requests under way; nothing goes on in the background.
    pub async fn run<T: Target>(&self, target: T) -> Result<LoadReport, ProfileError> {
        self.run_shared(&Arc::new(target)).await
    }

    pub(super) async fn run_shared<T: Target>(
        &self,
        target: &Arc<T>,
    ) -> Result<LoadReport, ProfileError> {
        target
            .probe()
            .await
            .map_err(|error| ProfileError::TargetUnreachable {
                reason: error.to_string(),
            })?;
        let start = SystemClock.now();
        let counted_from = start.saturating_add(self.warm_up);
        let recorder = Arc::new(Recorder::new(counted_from, self.duration()));
        match &self.model {
            Model::Open(stages) => {
                open::run(self, stages, start, target, &recorder).await;
            }
            Model::Closed(users, duration) => {
                let end = counted_from.saturating_add(*duration);
                closed::run(self, *users, end, target, &recorder).await;
            }
        }
        Ok(recorder.report(SystemClock.now().since(counted_from)))
    }

    fn duration(&self) -> Duration {
        match &self.model {
            Model::Open(stages) => stages.duration(),
            Model::Closed(_, duration) => *duration,
        }
    }
}

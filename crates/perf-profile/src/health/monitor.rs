use super::objective::Steady;
use super::window::SlidingWindow;
use super::{Alert, AlertSink, Level, LogAlerts, Objective, WindowStats};
use parking_lot::Mutex;
use perf_core::{Clock, Health, Inspect, Registry, Sample, SystemClock};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long one alert may take to be delivered.
const DELIVERY: Duration = Duration::from_secs(10);

/// Judges the last few minutes of a service against its objectives. Clones share everything.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use perf_profile::{Level, Objective, SloMonitor};
/// use std::time::Duration;
///
/// let monitor = SloMonitor::builder("api").objectives(Objective::web_service()).build();
/// for _ in 0..100 {
///     monitor.record(Duration::from_millis(700), false);
/// }
/// monitor.check().await; // once is chance …
/// assert_eq!(monitor.level(), Level::Met);
/// let alerts = monitor.check().await; // … twice is not
/// assert_eq!(alerts[0].objective, "latency_p50_seconds");
/// assert_eq!(monitor.level(), Level::Critical);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SloMonitor {
    shared: Arc<Shared>,
}

/// Sets up an [`SloMonitor`].
#[must_use = "a builder does nothing until it is built"]
pub struct SloMonitorBuilder {
    name: String,
    window: Duration,
    objectives: Vec<Objective>,
    sinks: Vec<Arc<dyn AlertSink>>,
    clock: Arc<dyn Clock>,
}

/// An objective and how it stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ObjectiveStatus {
    /// Its name.
    pub name: &'static str,
    /// Its level, after streaks: see the module's account.
    pub level: Level,
    /// The figure now; `None` while there is nothing to take it from.
    pub value: Option<f64>,
}

struct Shared {
    name: String,
    window: SlidingWindow,
    objectives: Vec<Objective>,
    levels: Mutex<Vec<Steady>>,
    sinks: Vec<Arc<dyn AlertSink>>,
    undelivered: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl SloMonitor {
    /// Begins to set one up: without objectives, over 5 minutes, alerts going to the log.
    pub fn builder(name: impl Into<String>) -> SloMonitorBuilder {
        SloMonitorBuilder {
            name: name.into(),
            window: Duration::from_secs(300),
            objectives: Vec::new(),
            sinks: vec![Arc::new(LogAlerts)],
            clock: Arc::new(SystemClock),
        }
    }

    /// Counts a request that took `latency`.
    pub fn record(&self, latency: Duration, failed: bool) {
        let now = self.shared.clock.now();
        self.shared.window.record(now, latency, failed);
    }

    /// The requests of the window.
    #[must_use]
    pub fn stats(&self) -> WindowStats {
        self.shared.window.stats(self.shared.clock.now())
    }

    /// Judges every objective once, tells the sinks of each that changed its level, and returns those.
    ///
    /// An objective without a figure keeps its level. Sinks are told one after the other, each alert for
    /// at most 10 s; one that is not delivered is counted.
    ///
    /// # Cancel safety
    ///
    /// Levels have changed once the future was polled; sinks not yet told then never are.
    pub async fn check(&self) -> Vec<Alert> {
        let alerts = self.shared.judge();
        for alert in &alerts {
            for sink in &self.shared.sinks {
                let delivered = tokio::time::timeout(DELIVERY, sink.send(alert)).await;
                if !matches!(delivered, Ok(Ok(()))) {
                    self.shared.undelivered.fetch_add(1, Relaxed);
                }
            }
        }
        alerts
    }

    /// Checks for ever, with `pause` between two checks.
    ///
    /// # Cancel safety
    ///
    /// As [`SloMonitor::check`].
    pub async fn run(&self, pause: Duration) {
        loop {
            self.shared.clock.sleep(pause).await;
            self.check().await;
        }
    }

    /// How every objective stands.
    #[must_use]
    pub fn status(&self) -> Vec<ObjectiveStatus> {
        self.shared.status()
    }

    /// The worst level of all objectives.
    #[must_use]
    pub fn level(&self) -> Level {
        self.shared.level()
    }

    /// Shows it to `registry` while a clone of it lives.
    pub fn register(&self, registry: &Registry) {
        registry.register(&self.shared);
    }
}

impl SloMonitorBuilder {
    /// How far back it looks, in twelve steps. Default: 5 minutes.
    pub const fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }

    /// Adds objectives.
    pub fn objectives(mut self, objectives: impl IntoIterator<Item = Objective>) -> Self {
        self.objectives.extend(objectives);
        self
    }

    /// Tells `sink` of alerts as well.
    pub fn sink(mut self, sink: impl AlertSink + 'static) -> Self {
        self.sinks.push(Arc::new(sink));
        self
    }

    /// Where it reads the time. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Begins to count.
    #[must_use]
    pub fn build(self) -> SloMonitor {
        let levels = self.objectives.iter().map(|_| Steady::default()).collect();
        SloMonitor {
            shared: Arc::new(Shared {
                name: self.name,
                window: SlidingWindow::new(self.window, self.clock.now()),
                objectives: self.objectives,
                levels: Mutex::new(levels),
                sinks: self.sinks,
                undelivered: AtomicU64::new(0),
                clock: self.clock,
            }),
        }
    }
}

impl Shared {
    fn judge(&self) -> Vec<Alert> {
        let stats = self.window.stats(self.clock.now());
        let values: Vec<_> = self
            .objectives
            .iter()
            .map(|objective| objective.value(&stats))
            .collect();
        let mut alerts = Vec::new();
        let mut levels = self.levels.lock();
        for ((objective, value), steady) in self.objectives.iter().zip(values).zip(&mut *levels) {
            let from = steady.level();
            let Some(value) = value else { continue };
            if steady.observe(objective.level(value)) {
                alerts.push(Alert {
                    monitor: self.name.clone(),
                    objective: objective.name,
                    from,
                    to: steady.level(),
                    value,
                });
            }
        }
        alerts
    }

    fn status(&self) -> Vec<ObjectiveStatus> {
        let stats = self.window.stats(self.clock.now());
        let levels = self.levels.lock().clone();
        let status = |(objective, steady): (&Objective, Steady)| ObjectiveStatus {
            name: objective.name,
            level: steady.level(),
            value: objective.value(&stats),
        };
        self.objectives.iter().zip(levels).map(status).collect()
    }

    fn level(&self) -> Level {
        let levels = self.levels.lock();
        levels.iter().map(Steady::level).max().unwrap_or_default()
    }
}

impl Inspect for Shared {
    fn name(&self) -> Cow<'_, str> {
        (&*self.name).into()
    }

    fn kind(&self) -> &'static str {
        "slo_monitor"
    }

    fn health(&self) -> Health {
        let level = self.level();
        let status = self.status();
        let worst = status.iter().filter(|status| status.level == level);
        let names: Vec<_> = worst.map(|status| status.name).collect();
        match level {
            Level::Met => Health::Healthy,
            Level::Missed => Health::Degraded(format!("misses {}", names.join(", ")).into()),
            Level::Critical => Health::Unhealthy(format!("critical: {}", names.join(", ")).into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let stats = self.window.stats(self.clock.now());
        samples.push(Sample::histogram(
            "window_request_seconds",
            stats.latency.summary(),
        ));
        samples.push(Sample::gauge("window_error_ratio", stats.error_rate()));
        samples.push(Sample::gauge(
            "window_requests_per_second",
            stats.throughput(),
        ));
        for status in self.status() {
            let level = f64::from(status.level as u8);
            samples
                .push(Sample::gauge("objective_level", level).with_label("objective", status.name));
        }
        let undelivered = self.undelivered.load(Relaxed);
        samples.push(Sample::counter("undelivered_alerts", undelivered));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.level();
        let name = &self.name;
        f.debug_struct("Shared")
            .field("name", name)
            .field("level", &level)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SloMonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            window,
            objectives,
            ..
        } = self;
        let mut debug = f.debug_struct("SloMonitorBuilder");
        debug
            .field("name", name)
            .field("window", window)
            .field("objectives", objectives);
        debug.finish_non_exhaustive()
    }
}

//! What a registry shows of a pool.

use crate::manager::Manager;
use crate::shared::Shared;
use perf_core::{Health, Inspect, Sample};
use std::borrow::Cow;

impl<M: Manager> Inspect for Shared<M> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.settings.name)
    }

    fn kind(&self) -> &'static str {
        "pool"
    }

    fn health(&self) -> Health {
        if self.exchange.is_closed() {
            return Health::Unhealthy("closed".into());
        }
        if self.exchange.is_suspended() {
            return Health::Degraded("suspended".into());
        }
        let last_error = self.roster.lock().last_error.clone();
        match last_error {
            None => Health::Healthy,
            Some(error) if self.status().idle + self.status().in_use > 0 => {
                Health::Degraded(format!("cannot create: {error}").into())
            }
            Some(error) => Health::Unhealthy(format!("cannot create: {error}").into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let (status, metrics) = (self.status(), self.metrics());
        for (state, count) in [
            ("idle", status.idle),
            ("in_use", status.in_use),
            ("connecting", status.connecting),
            ("checking", status.checking),
            ("closing", status.closing),
        ] {
            samples.push(Sample::gauge("resources", count as f64).with_label("state", state));
        }
        samples.extend([
            Sample::gauge("max_size", status.max_size as f64),
            Sample::gauge("waiting", status.waiting as f64),
            Sample::gauge("suspended", f64::from(u8::from(status.suspended))),
            Sample::counter("acquired", metrics.acquired),
            Sample::counter("timeouts", metrics.timeouts),
            Sample::counter("refused", metrics.refused),
            Sample::counter("shed", metrics.shed),
            Sample::counter("create_failures", metrics.create_failures),
            Sample::counter("leaks", metrics.leaks),
            Sample::counter("takeovers", metrics.takeovers),
            Sample::histogram("wait_seconds", metrics.wait),
            Sample::histogram("hold_seconds", metrics.hold),
            Sample::histogram("create_seconds", metrics.create),
            Sample::histogram("check_seconds", metrics.check),
        ]);
        for (reason, count) in metrics.closed {
            samples.push(Sample::counter("closed", count).with_label("reason", reason.as_str()));
        }
    }
}

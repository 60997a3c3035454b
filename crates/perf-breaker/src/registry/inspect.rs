use super::Shared;
use crate::sync::Ordering::Relaxed;
use perf_core::{Health, Inspect, Sample};
use std::borrow::Cow;

#[expect(
    clippy::cast_precision_loss,
    reason = "a registry holds far fewer than 2⁵² breakers"
)]
const fn gauge(name: &'static str, value: usize) -> Sample {
    Sample::gauge(name, value as f64)
}

impl<K: Send, C: Send + Sync> Inspect for Shared<K, C> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "circuit_breaker_registry"
    }

    fn health(&self) -> Health {
        match self.open() {
            0 => Health::Healthy,
            1 => Health::Degraded("1 breaker is open".into()),
            open => Health::Degraded(format!("{open} breakers are open").into()),
        }
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let len = self.shards.iter().map(|shard| shard.lock().len()).sum();
        samples.extend([
            gauge("breakers", len),
            gauge("open_breakers", self.open()),
            Sample::counter("evicted", self.evicted.load(Relaxed)),
            Sample::counter("overflowed", self.overflowed.load(Relaxed)),
        ]);
    }
}

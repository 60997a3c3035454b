use super::{LimitPolicy, Shared};
use crate::sync::Ordering::Relaxed;
use perf_core::{Clock, Inspect, Sample};
use std::borrow::Cow;

impl<P: LimitPolicy, K: Clock> Inspect for Shared<P, K> {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn kind(&self) -> &'static str {
        "adaptive_limit"
    }

    #[expect(clippy::cast_precision_loss, reason = "a limit is far below 2⁵² calls")]
    fn samples(&self, samples: &mut Vec<Sample>) {
        samples.extend([
            Sample::gauge("limit", self.limit.load(Relaxed) as f64),
            Sample::gauge("under_way", self.seats.taken() as f64),
            Sample::counter("refused", self.refused.load(Relaxed)),
        ]);
    }
}

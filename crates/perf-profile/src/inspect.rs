use crate::{Profiler, functions};
use perf_core::{Inspect, Sample};
use std::borrow::Cow;

impl Inspect for Profiler {
    fn name(&self) -> Cow<'_, str> {
        (&*self.shared().settings.name).into()
    }

    fn kind(&self) -> &'static str {
        "profiler"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        let shared = self.shared();
        for query in shared.book.queries() {
            samples.push(
                Sample::histogram("query_seconds", query.latency).with_label("query", query.text),
            );
        }
        for request in shared.requests.stats() {
            let labelled = |sample: Sample| sample.with_label("request", request.name.clone());
            samples.push(labelled(Sample::histogram(
                "request_seconds",
                request.latency,
            )));
            samples.push(labelled(Sample::counter(
                "request_queries",
                request.queries,
            )));
        }
        let findings = shared.requests.findings().len();
        samples.push(Sample::gauge("findings", findings as f64));
        samples.push(Sample::gauge(
            "open_requests",
            shared.requests.open_count() as f64,
        ));
        samples.push(Sample::counter("unscoped_queries", shared.book.unscoped()));
        samples.push(Sample::counter(
            "truncated_calls",
            functions::truncated_calls(),
        ));
    }
}

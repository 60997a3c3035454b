use crate::profiler::Shared;
use crate::{Profiler, functions};
use perf_core::{Inspect, Sample};
use std::borrow::Cow;

impl Inspect for Shared {
    fn name(&self) -> Cow<'_, str> {
        (&*self.settings.name).into()
    }

    fn kind(&self) -> &'static str {
        "profiler"
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        for query in self.book.queries() {
            samples.push(
                Sample::histogram("query_seconds", query.latency).with_label("query", query.text),
            );
        }
        for request in self.requests.stats() {
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
        let findings = self.requests.findings(&self.settings).len();
        samples.push(Sample::gauge("findings", findings as f64));
        samples.push(Sample::gauge(
            "open_requests",
            self.requests.open_count() as f64,
        ));
        samples.push(Sample::counter("unscoped_queries", self.book.unscoped()));
        samples.push(Sample::counter(
            "truncated_calls",
            functions::truncated_calls(),
        ));
    }
}

impl Inspect for Profiler {
    fn name(&self) -> Cow<'_, str> {
        self.shared().name()
    }

    fn kind(&self) -> &'static str {
        self.shared().kind()
    }

    fn samples(&self, samples: &mut Vec<Sample>) {
        self.shared().samples(samples);
    }
}

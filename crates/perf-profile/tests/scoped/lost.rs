//! A span that the registry loses holds its request open no longer than a second.
//!
//! The registry loses a span when the data of its last child is removed by a thread that was reading it
//! while it closes another span.

use crate::support::execute;
use perf_core::ManualClock;
use perf_profile::{Profiler, RequestScope};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::dispatcher::{self, Dispatch};
use tracing::span::Id;
use tracing::{Span, Subscriber, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Loses the parent of a span, once it is given one.
#[derive(Clone, Default)]
struct Loser(Arc<Mutex<Option<(Span, Dispatch)>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Loser {
    fn on_close(&self, _: Id, context: Context<'_, S>) {
        let Some((last_handle, dispatch)) = self.0.lock().unwrap().take() else {
            return;
        };
        let read = context.span(&last_handle.id().unwrap());
        let letting_go = || dispatcher::with_default(&dispatch, || drop(last_handle));
        std::thread::scope(|scope| scope.spawn(letting_go).join().unwrap());
        drop(read);
    }
}

fn run(profiler: &Profiler, name: &str, after: impl FnOnce(RequestScope)) {
    let loser = Loser::default();
    let layers = tracing_subscriber::registry().with(profiler.sql_layer());
    let dispatch = Dispatch::new(layers.with(loser.clone()));
    dispatcher::with_default(&dispatch, || {
        let request = RequestScope::new(name);
        request.in_scope(|| {
            let nested = info_span!("nested");
            let deeper = nested.in_scope(|| info_span!("deeper"));
            deeper.in_scope(|| execute("SELECT 1 AS lost", 0.001));
            let lost = nested.id().unwrap();
            drop(nested);
            *loser.0.lock().unwrap() = Some((deeper, dispatch.clone()));
            drop(info_span!("other"));
            let registry = dispatch.downcast_ref::<Registry>().unwrap();
            assert!(registry.span(&lost).is_some(), "nothing was lost");
        });
        after(request);
    });
}

fn ended(profiler: &Profiler) -> Vec<(u64, u64, Duration)> {
    let snapshot = profiler.snapshot();
    let requests = snapshot.requests().iter();
    requests
        .map(|request| (request.requests, request.queries, request.latency.max))
        .collect()
}

#[test]
fn a_request_of_which_a_span_is_lost_ends_with_its_scope() {
    let clock = ManualClock::new();
    let profiler = Profiler::builder().clock(clock.clone()).build();
    run(&profiler, "GET /lost", |request| {
        clock.advance(Duration::from_secs(5));
        assert_eq!(ended(&profiler), [], "its scope still lives");
        drop(request);
        let [(requests, queries, latency)] = ended(&profiler)[..] else {
            panic!("it has not ended");
        };
        assert_eq!(
            (requests, queries, latency.as_secs_f32().round()),
            (1, 1, 5.0)
        );
    });
    assert_eq!(ended(&profiler).len(), 1);
}

#[test]
fn a_span_counts_as_lost_only_when_it_stays() {
    let clock = ManualClock::new();
    let profiler = Profiler::builder().clock(clock.clone()).build();
    run(&profiler, "GET /lost", |request| {
        drop(request);
        clock.advance(Duration::from_millis(999));
        assert_eq!(ended(&profiler), []);
        clock.advance(Duration::from_millis(1));
        assert_eq!(ended(&profiler).len(), 1);
    });
}

#[test]
fn requests_that_begin_end_the_abandoned() {
    let clock = ManualClock::new();
    let ends = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&ends);
    let profiler = Profiler::builder()
        .clock(clock.clone())
        .slow_request(Duration::ZERO)
        .on_slow_request(move |_| *counted.lock().unwrap() += 1)
        .build();
    run(&profiler, "GET /lost", |request| {
        drop(request);
        clock.advance(Duration::from_secs(1));
        let others = [
            RequestScope::new("GET /other"),
            RequestScope::new("GET /other"),
        ];
        assert_eq!(*ends.lock().unwrap(), 1);
        drop(others);
        assert_eq!(*ends.lock().unwrap(), 3);
    });
}

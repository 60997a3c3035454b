//! A request has a span only where something within it asks for one, and nothing else shows the difference.

use crate::support::execute;
use perf_profile::{Profiler, RequestScope, Snapshot};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use tracing::dispatcher::{self, Dispatch};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Span, Subscriber, info_span, warn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{fmt, registry};

type Ask = fn(&RequestScope);

/// Which spans were made, each with its parents.
#[derive(Clone, Default)]
struct Made(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Made {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let scope = context.span(id).unwrap().scope().from_root();
        let names: Vec<_> = scope.map(|span| span.name()).collect();
        self.0.lock().unwrap().push(names.join("/"));
    }
}

/// Runs `work` with spans on demand; the spans that were made, and what the profiler saw.
fn run(work: impl FnOnce()) -> (Vec<String>, Snapshot) {
    let profiler = Profiler::builder().build();
    let made = Made::default();
    let subscriber = profiler.wrap(registry().with(made.clone()));
    dispatcher::with_default(&Dispatch::new(subscriber.with_spans_on_demand()), work);
    let spans = made.0.lock().unwrap().clone();
    (spans, profiler.snapshot())
}

/// Of each name, how many requests have ended and how many queries they ran.
fn ended(snapshot: &Snapshot) -> Vec<(&str, u64, u64)> {
    let mut requests: Vec<_> = snapshot
        .requests()
        .iter()
        .map(|request| (&*request.name, request.requests, request.queries))
        .collect();
    requests.sort_unstable();
    requests
}

/// Runs `work` on another thread, under the same subscriber.
fn elsewhere(work: impl FnOnce() + Send) {
    let dispatch = dispatcher::get_default(Clone::clone);
    let work = || dispatcher::with_default(&dispatch, work);
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}

#[test]
fn a_request_in_which_nothing_happens_has_no_span() {
    let (spans, snapshot) = run(|| {
        for _ in 0..3 {
            let request = RequestScope::new("GET /ping");
            request.in_scope(|| ());
            request.in_scope(|| ());
        }
    });
    assert_eq!(spans, [""; 0]);
    assert_eq!(ended(&snapshot), [("GET /ping", 3, 0)]);
}

#[test]
fn whoever_asks_finds_the_span_entered() {
    let asks: [(&str, Ask); 6] = [
        ("a statement", |request| {
            request.in_scope(|| execute("SELECT 1", 0.001));
        }),
        ("a worker that is sent the current span", |request| {
            let span = request.in_scope(Span::current);
            elsewhere(|| span.in_scope(|| execute("SELECT 1", 0.001)));
        }),
        ("an event, and a statement after it", |request| {
            request.in_scope(|| {
                warn!("something happens");
                execute("SELECT 1", 0.001);
            });
        }),
        ("the scope's own span", |request| {
            request.span().in_scope(|| execute("SELECT 1", 0.001));
        }),
        ("another poll", |request| {
            request.in_scope(|| ());
            let span = request.in_scope(Span::current);
            request.in_scope(|| assert_eq!(Span::current(), span));
            request.in_scope(|| execute("SELECT 1", 0.001));
        }),
        ("two threads at once", |request| {
            request.in_scope(|| {
                elsewhere(|| request.in_scope(|| _ = Span::current()));
                execute("SELECT 1", 0.001);
            });
        }),
    ];
    for (what, ask) in asks {
        let (spans, snapshot) = run(|| {
            ask(&RequestScope::new("GET /flights"));
            assert!(Span::current().is_none(), "{what}: left");
        });
        assert_eq!(spans, ["request"], "{what}");
        assert_eq!(ended(&snapshot), [("GET /flights", 1, 1)], "{what}");
    }
}

#[test]
fn spans_of_the_application_are_within() {
    let (spans, snapshot) = run(|| {
        let before = info_span!("before");
        RequestScope::new("GET /made").in_scope(|| {
            info_span!("made").in_scope(|| execute("SELECT 1", 0.001));
        });
        RequestScope::new("GET /entered").in_scope(|| {
            // Entered later than the request, and no part of it.
            before.in_scope(|| execute("SELECT 1", 0.001));
            execute("SELECT 1", 0.001);
        });
        before.in_scope(|| RequestScope::new("GET /around").in_scope(|| ()));
    });
    assert_eq!(
        spans,
        [
            "before",
            "request",
            "request/made",
            "request",
            "before/request"
        ]
    );
    let expected = [
        ("GET /around", 1, 0),
        ("GET /entered", 1, 1),
        ("GET /made", 1, 1),
    ];
    assert_eq!(ended(&snapshot), expected);
    assert_eq!(snapshot.unscoped_queries(), 1);
}

#[test]
fn the_innermost_of_nested_requests_counts() {
    let (spans, snapshot) = run(|| {
        let apart = RequestScope::new("apart");
        RequestScope::new("outer").in_scope(|| {
            let inner = RequestScope::new("inner");
            inner.in_scope(|| execute("SELECT 1", 0.001));
            apart.in_scope(|| execute("SELECT 1", 0.001));
            execute("SELECT 1", 0.001);
        });
    });
    assert_eq!(spans, ["request", "request/request", "request"]);
    assert_eq!(
        ended(&snapshot),
        [("apart", 1, 1), ("inner", 1, 1), ("outer", 1, 1)]
    );
}

#[tokio::test]
async fn a_request_lasts_as_long_as_a_task_that_it_spawned() {
    let profiler = Profiler::builder().build();
    let subscriber = profiler.wrap(registry()).with_spans_on_demand();
    let _default = tracing::subscriber::set_default(subscriber);
    let (open, wait) = tokio::sync::oneshot::channel::<()>();
    let waiting = async {
        wait.await.unwrap();
        execute("SELECT 1", 0.001);
    };
    let spawn = || tokio::spawn(waiting.in_current_span());
    let task = RequestScope::new("GET /spawning").in_scope(spawn);
    assert_eq!(ended(&profiler.snapshot()), []);
    open.send(()).unwrap();
    task.await.unwrap();
    assert_eq!(ended(&profiler.snapshot()), [("GET /spawning", 1, 1)]);
}

#[tokio::test]
async fn what_a_cancelled_future_drops_is_within() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            execute("ROLLBACK", 0.001);
        }
    }
    let profiler = Profiler::builder().build();
    let subscriber = profiler.wrap(registry()).with_spans_on_demand();
    let _default = tracing::subscriber::set_default(subscriber);
    let late = async {
        let _late = Late;
        std::future::pending::<()>().await;
    };
    let mut run = Box::pin(RequestScope::new("GET /cancelled").run(late));
    assert!(futures_util::poll!(&mut run).is_pending());
    drop(run);
    assert_eq!(ended(&profiler.snapshot()), [("GET /cancelled", 1, 1)]);
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let (spans, snapshot) = run(|| {
        let request = RequestScope::new("GET /panic");
        let panics = || request.in_scope(|| panic!("on purpose"));
        catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        execute("SELECT 1", 0.001);
        assert!(Span::current().is_none());
    });
    assert_eq!(spans, [""; 0]);
    assert_eq!(ended(&snapshot), [("GET /panic", 1, 0)]);
    assert_eq!(snapshot.unscoped_queries(), 1);
}

#[test]
fn a_log_names_the_request_of_each_line() {
    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let text = Text::default();
    let written = text.clone();
    let log = fmt::layer()
        .with_ansi(false)
        .with_writer(move || written.clone());
    let profiler = Profiler::builder().build();
    let subscriber = profiler.wrap(registry().with(log)).with_spans_on_demand();
    tracing::subscriber::with_default(subscriber, || {
        RequestScope::new("GET /quiet").in_scope(|| ());
        RequestScope::new("GET /loud").in_scope(|| warn!("something happens"));
    });
    let log = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("request{name=\"GET /loud\"}: "), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

//! Polls that hold their thread up.

use perf_profile::{Blocked, Profiler, profile, span};
use std::sync::mpsc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[profile]
async fn blocking_handler(until: mpsc::Receiver<Blocked>) -> Vec<Blocked> {
    tokio::task::yield_now().await;
    blocking_load(until).await
}

#[profile]
async fn blocking_load(until: mpsc::Receiver<Blocked>) -> Vec<Blocked> {
    let _span = span!("blocking_parse");
    // The poll ends only when the watchdog has told of it.
    let found = until.iter();
    let own = |blocked: &Blocked| blocked.stack.contains(&"blocking_parse");
    found.filter(own).take(1).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_worker_is_named_while_it_blocks() {
    let profiler = Profiler::builder().build();
    let (tell, wait) = mpsc::channel();
    let watchdog = profiler.watch(Duration::from_millis(30), move |blocked| {
        _ = tell.send(blocked.clone());
        // What is told may panic.
        std::panic::resume_unwind(Box::new(()));
    });
    let watchdog = watchdog.unwrap();
    let handler = tokio::spawn(blocking_handler(wait));
    let found = tokio::time::timeout(LIMIT, handler).await.unwrap().unwrap();
    let stack = ["blocking_handler", "blocking_load", "blocking_parse"];
    assert_eq!(found[0].stack, stack);
    assert!(found[0].elapsed >= Duration::from_millis(30));
    drop(watchdog);
    let snapshot = profiler.snapshot();
    let mut kept = snapshot.blocked().iter();
    assert!(kept.any(|blocked| blocked.stack == stack));
    let mut functions = snapshot.functions().iter();
    let handler = functions
        .find(|function| function.name == "blocking_handler")
        .unwrap();
    assert_eq!(handler.polls, 2);
    assert!((1..=2).contains(&handler.slow_polls), "{handler:?}");
}

#[test]
fn a_thread_outside_every_poll_is_left_alone() {
    let profiler = Profiler::builder().build();
    let (tell, told) = mpsc::channel();
    let watchdog = profiler.watch(Duration::from_millis(1), move |blocked| {
        _ = tell.send(blocked.clone());
    });
    {
        // A sync span, which blocks nobody's poll, until a poll that does has been found.
        let _span = span!("sync section");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (_open, closed) = mpsc::channel::<()>();
                let poll = async { _ = closed.recv_timeout(Duration::from_millis(50)) };
                let mut poll = Box::pin(perf_profile::profiled(poll, || span!("the poll")));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(poll.as_mut().poll(&mut context).is_ready());
            });
        });
    }
    drop(watchdog);
    let told: Vec<_> = told.iter().collect();
    assert!(
        told.iter().any(|blocked| blocked.stack == ["the poll"]),
        "{told:?}"
    );
    assert!(
        !told
            .iter()
            .any(|blocked| blocked.stack.contains(&"sync section"))
    );
}

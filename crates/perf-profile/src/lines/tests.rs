//! Exact figures, since ticks pass only where the tests say so.

use super::{FunctionLines, LineStats};
use crate::functions::{self, set_recording};
use crate::ticks::{calibrate, manual::pass, nanos};
use crate::{__private, FunctionStats, span};
use perf_macros::profile;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn ticks(ticks: u64) -> Duration {
    Duration::from_nanos(nanos(ticks))
}

fn is_about(time: Duration, expected: u64) -> bool {
    // Figures are rounded to a nanosecond each.
    time.abs_diff(ticks(expected)) <= Duration::from_nanos(10)
}

/// The function's lines and figures, and that the former add up to the latter.
fn recorded(name: &str) -> (FunctionLines, FunctionStats) {
    let lines = super::collect();
    let lines = lines.into_iter().find(|function| function.name == name);
    let functions = functions::collect().functions;
    let function = functions.into_iter().find(|function| function.name == name);
    let (lines, function) = (lines.unwrap(), function.unwrap());
    let gap = lines.time.abs_diff(function.cumulative);
    assert!(gap <= function.cumulative / 50, "{lines:?} {function:?}");
    let shares: f64 = lines.lines.iter().map(|line| line.share).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    (lines, function)
}

fn line<'a>(lines: &'a FunctionLines, text: &str) -> &'a LineStats {
    let mut found = lines.lines.iter().filter(|line| line.text == text);
    let line = found
        .next()
        .unwrap_or_else(|| panic!("no line {text:?} in {lines:#?}"));
    assert!(found.next().is_none(), "{text}");
    line
}

/// Hits and ticks of each statement in the order of the source.
fn assert_lines(lines: &FunctionLines, expected: &[(&str, u64, u64)]) {
    let texts: Vec<_> = lines.lines.iter().map(|line| line.text).collect();
    let wanted: Vec<_> = expected.iter().map(|(text, ..)| *text).collect();
    assert_eq!(texts, wanted);
    for (line, (text, hits, time)) in lines.lines.iter().zip(expected) {
        assert_eq!(line.hits, *hits, "hits of {text}");
        assert!(
            is_about(line.time, *time),
            "{:?} for {text}, not {time}",
            line.time
        );
    }
}

fn start() {
    calibrate();
    set_recording(true);
    pass(0);
}

#[profile(lines, crate = crate)]
fn every_form(n: u64) -> u64 {
    pass(100_000);
    let mut total = 0;
    for i in 0..n {
        pass(10_000);
        if i % 2 == 0 {
            pass(5_000);
            continue;
        }
        total += i;
    }
    while total > 10 {
        pass(3_000);
        total -= 5
    }
    let Some(rest) = total.checked_sub(1) else {
        return 0;
    };
    match rest {
        0 => pass(7_000),
        _ => {
            pass(8_000);
        }
    }
    'outer: loop {
        for step in 1..3 {
            pass(1_000);
            if total > 11 {
                break 'outer;
            }
            total += step;
            if step == 2 {
                continue 'outer;
            }
        }
    }
    let later = || pass(2_000);
    later();
    total
}

#[test]
fn every_statement_has_its_hits_and_its_time() {
    start();
    assert_eq!(every_form(9), 12);
    let (lines, _) = recorded("every_form");
    assert_lines(
        &lines,
        &[
            ("pass(100_000);", 1, 100_000),
            ("let mut total = 0;", 1, 0),
            ("for i in 0..n {", 10, 0),
            ("pass(10_000);", 9, 90_000),
            ("if i % 2 == 0 {", 9, 0),
            ("pass(5_000);", 5, 25_000),
            ("continue;", 5, 0),
            ("total += i;", 4, 0),
            ("while total > 10 {", 3, 0),
            ("pass(3_000);", 2, 6_000),
            ("total -= 5", 2, 0),
            ("let Some(rest) = total.checked_sub(1) else {", 1, 0),
            ("return 0;", 0, 0),
            ("match rest {", 1, 0),
            ("pass(7_000),", 0, 0),
            ("pass(8_000);", 1, 8_000),
            // 6, then 7 and 9, 10 and 12.
            ("'outer: loop {", 3, 0),
            ("for step in 1..3 {", 5, 0),
            ("pass(1_000);", 5, 5_000),
            ("if total > 11 {", 5, 0),
            ("break 'outer;", 1, 0),
            ("total += step;", 4, 0),
            ("if step == 2 {", 4, 0),
            ("continue 'outer;", 2, 0),
            ("let later = || pass(2_000);", 1, 0),
            ("later();", 1, 2_000),
            ("total", 1, 0),
        ],
    );
}

#[profile(lines, crate = crate)]
fn falls(depth: u64) -> Result<u64, u64> {
    pass(1_000);
    if depth == 0 {
        Err(7_u64)?;
    }
    let below = falls(depth - 1)?;
    pass(1_000_000);
    Ok(below)
}

#[test]
fn a_recursive_call_is_time_of_the_statement_that_makes_it() {
    start();
    assert_eq!(falls(3), Err(7));
    let lines = super::collect();
    let falls = lines
        .iter()
        .find(|function| function.name == "falls")
        .unwrap();
    assert_eq!(line(falls, "pass(1_000);").hits, 4);
    assert_eq!(line(falls, "pass(1_000_000);").hits, 0);
    let calls = line(falls, "let below = falls(depth - 1)?;");
    // Of three calls, one with two below it, one with one, one with none.
    assert!(is_about(calls.time, 3_000 + 2_000 + 1_000), "{calls:?}");
}

/// Busy for so many ticks and then waiting for as many, once.
async fn waits(busy: u64, idle: u64) {
    let mut polled = false;
    poll_fn(|_| {
        pass(if polled { 0 } else { busy });
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        NEXT.set(idle);
        Poll::Pending
    })
    .await;
}

thread_local!(static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });

/// Polls to the end, and lets as much time pass between polls as [`waits`] asks for.
fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        pass(NEXT.take());
    }
}

#[profile(lines, crate = crate)]
async fn awaits(rounds: u64) -> u64 {
    let first = async { pass(50_000) };
    for _ in 0..rounds {
        waits(1_000, 20_000).await;
    }
    tokio::join!(waits(2_000, 30_000), waits(2_000, 30_000));
    first.await;
    rounds
}

#[test]
fn what_an_await_waits_is_kept_apart_from_what_it_does() {
    start();
    assert_eq!(drive(awaits(5)), 5);
    let (lines, function) = recorded("awaits");
    let waiting = line(&lines, "waits(1_000, 20_000).await;");
    assert!(
        is_about(waiting.time, 5_000) && is_about(waiting.idle, 100_000),
        "{waiting:?}"
    );
    assert_eq!(waiting.awaits.latency.count, 5);
    assert!(is_about(waiting.awaits.latency.sum, 105_000), "{waiting:?}");
    let joined = line(
        &lines,
        "tokio::join!(waits(2_000, 30_000), waits(2_000, 30_000));",
    );
    assert!(
        is_about(joined.time, 4_000) && is_about(joined.idle, 30_000),
        "{joined:?}"
    );
    assert_eq!(joined.awaits.latency.count, 0, "the macro hides its awaits");
    let first = line(&lines, "first.await;");
    assert!(is_about(first.time, 50_000) && first.idle.is_zero());
    assert!(is_about(function.idle, 130_000), "{function:?}");
}

#[test]
fn a_cancelled_await_is_counted_as_such() {
    #[profile(lines, crate = crate)]
    async fn forever() {
        waits(1_000, 0).await;
        std::future::pending::<()>().await;
    }
    start();
    let mut future = Box::pin(forever());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    drop(future);
    let (lines, function) = recorded("forever");
    let pending = line(&lines, "std::future::pending::<()>().await;");
    assert_eq!(
        (pending.hits, pending.awaits.cancelled, function.cancelled),
        (1, 1, 1)
    );
    assert_eq!(line(&lines, "waits(1_000, 0).await;").awaits.cancelled, 0);
}

/// One busy stretch and one wait, many times at once: busy and idle time are told apart exactly.
#[test]
fn a_thousand_tasks_are_busy_for_a_millisecond_each_and_wait_for_fifty() {
    const BUSY: u64 = 1_000_000;
    const IDLE: u64 = 50_000_000;
    const AT_ONCE: usize = 20;
    start();
    for _ in 0..1_000 / AT_ONCE {
        let task = || __private::profiled(waits(BUSY, 0), || span!("one of a thousand"));
        let mut tasks: Vec<_> = (0..AT_ONCE).map(|_| Box::pin(task())).collect();
        let mut context = Context::from_waker(Waker::noop());
        for task in &mut tasks {
            assert!(task.as_mut().poll(&mut context).is_pending());
        }
        // The last one has slept enough when the first one has by so much more.
        pass(IDLE - BUSY * (AT_ONCE as u64 - 1) / 2);
        for task in &mut tasks {
            assert!(task.as_mut().poll(&mut context).is_ready());
        }
    }
    let functions = functions::collect().functions;
    let mut functions = functions.iter();
    let task = functions
        .find(|function| function.name == "one of a thousand")
        .unwrap();
    assert_eq!((task.calls, task.polls, task.cancelled), (1_000, 2_000, 0));
    let within = |time: Duration, expected: Duration| time.abs_diff(expected) <= expected / 20;
    assert!(within(task.cumulative, 1_000 * ticks(BUSY)), "{task:?}");
    assert!(within(task.idle, 1_000 * ticks(IDLE)), "{task:?}");
}

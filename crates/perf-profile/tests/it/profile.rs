//! `#[profile]` on every kind of function.

use crate::support::calls;
use perf_profile::{Profiler, profile};
use std::borrow::Cow;
use std::num::ParseIntError;

#[profile]
fn borrowed<'a, T: AsRef<str> + ?Sized>(text: &'a T) -> Cow<'a, str> {
    text.as_ref().into()
}

#[profile]
fn early(text: &str) -> Result<u8, ParseIntError> {
    let number = text.parse()?;
    Ok(number)
}

#[profile]
async fn fails(text: &str) -> Result<u8, ParseIntError> {
    tokio::task::yield_now().await;
    let number: u8 = text.parse()?;
    if number == 0 {
        return Ok(1);
    }
    Ok(number)
}

#[profile]
async fn opaque(n: u8) -> impl Iterator<Item = u8> {
    0..n
}

#[profile]
async fn generic<T: Clone, const N: usize>(value: T) -> [T; N] {
    std::array::from_fn(|_| value.clone())
}

struct Counter(u32);

impl Counter {
    #[profile(name = "Counter::increment")]
    fn increment(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }

    #[profile(crate = ::perf_profile)]
    async fn increment_later(&mut self) -> &mut u32 {
        tokio::task::yield_now().await;
        self.increment();
        &mut self.0
    }
}

trait Greeter {
    fn greet(&self) -> String;
}

impl Greeter for str {
    #[profile]
    fn greet(&self) -> String {
        format!("hello, {self}")
    }
}

#[tokio::test]
async fn functions_do_what_they_did_without_it() {
    let profiler = Profiler::builder().build();
    assert_eq!(borrowed("x"), "x");
    assert_eq!(borrowed(&String::from("y")), "y");
    assert_eq!((early("7"), early("x").is_err()), (Ok(7), true));
    assert_eq!(
        (
            fails("7").await,
            fails("0").await,
            fails("x").await.is_err()
        ),
        (Ok(7), Ok(1), true)
    );
    assert_eq!(opaque(3).await.sum::<u8>(), 3);
    assert_eq!(generic::<_, 2>("z").await, ["z", "z"]);
    let mut counter = Counter(0);
    *counter.increment_later().await += 1;
    assert_eq!(counter.increment(), 3);
    assert_eq!("you".greet(), "hello, you");

    let snapshot = profiler.snapshot();
    let expected = [
        ("borrowed", 2),
        ("early", 2),
        ("fails", 3),
        ("opaque", 1),
        ("generic", 1),
        ("Counter::increment", 2),
        ("increment_later", 1),
        ("greet", 1),
    ];
    for (name, count) in expected {
        assert_eq!(calls(&snapshot, name), count, "{name}");
    }
}

#[test]
fn profiled_futures_stay_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    drop(is_send(fails("1")));
}

#[profile]
fn located() {}

#[test]
fn a_function_is_found_where_it_stands() {
    let profiler = Profiler::builder().build();
    located();
    let snapshot = profiler.snapshot();
    let found = snapshot
        .functions()
        .iter()
        .find(|function| function.name == "located")
        .unwrap();
    let lines: Vec<_> = include_str!("profile.rs").lines().collect();
    assert!(found.file.ends_with("tests/it/profile.rs"), "{found:?}");
    assert!(
        lines[found.line as usize - 1].starts_with("fn located"),
        "{found:?}"
    );
    assert!(found.module.ends_with("profile"), "{found:?}");
}

//! `#[profile(lines)]` changes nothing but what is known of a function.

use perf_profile::{Profiler, profile};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

#[profile(lines)]
fn shadowed(text: &str) -> Option<usize> {
    let text = text.trim();
    let text = &String::from(text) as &str;
    let length = {
        let text = text.strip_prefix('#')?;
        text.len()
    };
    if let Some(first) = text.chars().next()
        && first == '!'
    {
        return None;
    } else if length == 7 {
        Some(0)
    } else {
        Some(length)
    }
}

#[profile(lines)]
fn contained<'a, T, const N: usize>(values: &'a [T; N], wanted: &T) -> Option<&'a T>
where
    T: PartialEq + Debug,
{
    let mut found = None;
    for value in values {
        match value {
            same if same == wanted => found = Some(same),
            _ if found.is_some() => break,
            _ => {}
        }
    }
    found
}

#[profile(lines)]
fn breaks(limit: u32) -> u32 {
    let mut count = 0;
    let label = 'search: loop {
        while count < limit {
            count += 1;
            if count == 5 {
                break 'search "five";
            }
        }
        if count >= limit {
            break "limit";
        }
    };
    count + u32::try_from(label.len()).unwrap_or(0)
}

#[profile(lines)]
fn extended(choice: bool) -> usize {
    let text: &str = match choice {
        true => &String::from("temporary"),
        false => "static",
    };
    text.len()
}

#[profile(lines)]
fn empty() {}

#[profile(lines)]
fn diverges() -> ! {
    let payload = Box::new(());
    std::panic::resume_unwind(payload)
}

struct Store(BTreeMap<u32, String>);

impl Store {
    #[profile(lines, name = "Store::load")]
    async fn load(&mut self, key: u32) -> Result<&str, String> {
        let text = match self.0.get(&key) {
            Some(_) => None,
            None => Some(fetch(key).await?),
        };
        if let Some(text) = text {
            self.0.insert(key, text);
        }
        let stored = self.0.get(&key).map(String::as_str);
        stored.ok_or_else(|| "gone".to_owned())
    }
}

#[profile(lines)]
async fn fetch(key: u32) -> Result<String, String> {
    tokio::task::yield_now().await;
    let parts = tokio::join!(async { key }, async { 1 });
    let spawned = tokio::spawn(async move { parts.0 + parts.1 });
    let sum = match spawned.await {
        Ok(sum) => sum,
        Err(error) => return Err(error.to_string()),
    };
    let boxed: Pin<Box<dyn Future<Output = u32> + Send>> = Box::pin(async move { sum });
    if key == 0 {
        return Err("zero".into());
    }
    Ok(boxed.await.to_string())
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn functions_do_what_they_did_without_it() {
    let profiler = Profiler::builder().build();
    assert_eq!(shadowed(" #rust "), Some(4));
    assert_eq!((shadowed("rust"), shadowed("#1234567")), (None, Some(0)));
    assert_eq!(contained(&[1, 2, 2, 3], &2), Some(&2));
    assert_eq!((breaks(9), breaks(3)), (9, 8));
    assert_eq!((extended(true), extended(false)), (9, 6));
    empty();
    assert!(std::panic::catch_unwind(|| diverges()).is_err());
    let mut store = Store(BTreeMap::new());
    assert_eq!(is_send(store.load(7)).await, Ok("8"));
    assert_eq!(store.load(7).await, Ok("8"));
    assert_eq!(store.load(0).await, Err("zero".into()));

    let snapshot = profiler.snapshot();
    let hits = |name: &str, text: &str| {
        let function = snapshot.lines().iter().find(|lines| lines.name == name);
        let mut lines = function.unwrap().lines.iter();
        lines.find(|line| line.text == text).map(|line| line.hits)
    };
    assert_eq!(hits("shadowed", "text.len()"), Some(2));
    assert_eq!(hits("breaks", "count += 1;"), Some(5 + 3));
    assert_eq!(hits("contained", "for value in values {"), Some(5 - 1));
    assert_eq!(hits("Store::load", "self.0.insert(key, text);"), Some(1));
    assert_eq!(hits("fetch", "tokio::task::yield_now().await;"), Some(2));
    let text = snapshot.to_string();
    assert!(text.contains("Lines of it::lines::Store::load"), "{text}");
}

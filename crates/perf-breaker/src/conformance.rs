//! The suite that every [`RateLimitStore`] must pass, ours and yours.

use crate::error::StoreError;
use crate::store::{Charge, LONGEST_KEY, RateLimitStore, Verdict};
use perf_core::{Clock, SystemClock};
use std::sync::Arc;

/// Ticks in a second.
const SECOND: u64 = 7_812_500;

/// Checks a store, under keys that begin with `prefix` and that nobody else uses.
///
/// It waits for some tenths of a second in real time, as stores live by their server's clock.
///
/// # Errors
///
/// When the store cannot be asked.
///
/// # Panics
///
/// When the store breaks its contract; the message says where. Outside a tokio runtime.
///
/// # Cancel safety
///
/// Some keys are left in the store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_breaker::StoreError> {
/// use perf_breaker::{MemoryStore, conformance};
/// use std::sync::Arc;
///
/// conformance::rate_limit_store(Arc::new(MemoryStore::new()), "test").await
/// # }
/// ```
pub async fn rate_limit_store(
    store: Arc<dyn RateLimitStore>,
    prefix: &str,
) -> Result<(), StoreError> {
    let key = |name: &str| [prefix.as_bytes(), name.as_bytes()].concat();
    burst(&*store, &key("burst")).await?;
    several(&*store, &key("several")).await?;
    costs(&*store, &key("costs")).await?;
    waiting(&*store, &key("waiting")).await?;
    looking(&*store, &key("looking")).await?;
    shrinking(&*store, &key("shrinking")).await?;
    names(&*store, prefix).await?;
    together(&store, &key("together")).await
}

/// `price` calls of a limit of `burst` that gives one back an hour.
fn calls(price: u64, burst: u64) -> Charge {
    let hour = 3_600 * SECOND;
    Charge::new(price * hour, burst * hour, hour)
}

async fn admitted(
    store: &dyn RateLimitStore,
    key: &[u8],
    charges: &[Charge],
    attempts: usize,
) -> Result<usize, StoreError> {
    let mut admitted = 0;
    for _ in 0..attempts {
        admitted += usize::from(store.acquire(key, charges).await?.is_allowed());
    }
    Ok(admitted)
}

async fn burst(store: &dyn RateLimitStore, key: &[u8]) -> Result<(), StoreError> {
    let charge = [calls(1, 5)];
    let first = store.acquire(key, &charge).await?;
    assert!(first.is_allowed(), "a fresh key has its burst");
    assert_eq!(
        left(&charge, &first),
        4,
        "the first call leaves four of five"
    );
    assert_eq!(
        admitted(store, key, &charge, 10).await?,
        4,
        "and no more than four follow"
    );
    let denied = store.acquire(key, &charge).await?;
    let (wait, most) = (denied.retry_after().as_secs(), 3_600);
    assert!(
        (most - 60..=most).contains(&wait),
        "one call comes back in an hour, not {wait} s"
    );
    assert_eq!(denied.limit, 0);
    Ok(())
}

fn left(charges: &[Charge], verdict: &Verdict) -> u64 {
    charges[verdict.limit].remaining(verdict.ahead)
}

async fn several(store: &dyn RateLimitStore, key: &[u8]) -> Result<(), StoreError> {
    let charges = [calls(1, 3), calls(1, 10), calls(1, 7)];
    let verdict = store.acquire(key, &charges).await?;
    assert_eq!(
        (verdict.limit, left(&charges, &verdict)),
        (0, 2),
        "the least left is told"
    );
    assert_eq!(
        admitted(store, key, &charges, 20).await?,
        2,
        "the least limit decides"
    );
    assert_eq!(store.acquire(key, &charges).await?.limit, 0, "and is named");
    let roomier = [calls(1, 20), calls(1, 10), calls(1, 7)];
    let passed = admitted(store, key, &roomier, 20).await?;
    assert_eq!(passed, 4, "what one limit denied was taken from none");
    let denied = store.acquire(key, &roomier).await?;
    assert_eq!(
        denied.limit, 2,
        "the limit that asks for the longest wait is named"
    );
    Ok(())
}

async fn costs(store: &dyn RateLimitStore, key: &[u8]) -> Result<(), StoreError> {
    assert!(store.acquire(key, &[calls(7, 10)]).await?.is_allowed());
    assert!(
        !store.acquire(key, &[calls(4, 10)]).await?.is_allowed(),
        "three are left"
    );
    assert!(
        store.acquire(key, &[calls(3, 10)]).await?.is_allowed(),
        "a denial took nothing"
    );
    store.refund(key, &[calls(2, 10)]).await?;
    let passed = admitted(store, key, &[calls(1, 10)], 10).await?;
    assert_eq!(passed, 2, "what is given back can be taken");
    store.refund(key, &[calls(1_000, 1_000)]).await?;
    let passed = admitted(store, key, &[calls(1, 10)], 20).await?;
    assert_eq!(passed, 10, "no refund exceeds the burst");
    store.reset(key).await?;
    store.reset(key).await?;
    let passed = admitted(store, key, &[calls(1, 10)], 20).await?;
    assert_eq!(passed, 10, "a key that is reset has its burst");
    store
        .refund(&[key, b" that nobody knows"].concat(), &[calls(1, 10)])
        .await
}

/// A call that waits for as long as it was told is allowed, and one that comes before is not.
async fn waiting(store: &dyn RateLimitStore, key: &[u8]) -> Result<(), StoreError> {
    let charges = [
        Charge::new(SECOND / 25, SECOND / 25, SECOND / 25),
        Charge::new(SECOND / 50, SECOND, SECOND / 50),
    ];
    let mut waits = 0;
    while waits < 5 {
        let verdict = store.acquire(key, &charges).await?;
        if verdict.is_allowed() {
            continue;
        }
        waits += 1;
        SystemClock.sleep(verdict.retry_after()).await;
        let verdict = store.acquire(key, &charges).await?;
        assert!(verdict.is_allowed(), "waiting admits, but {verdict:?}");
    }
    Ok(())
}

async fn looking(store: &dyn RateLimitStore, key: &[u8]) -> Result<(), StoreError> {
    let charges = [calls(1, 2), calls(1, 9)];
    for expected in [2, 1] {
        for _ in 0..3 {
            let seen = store.peek(key, &charges).await?;
            assert_eq!((seen.is_allowed(), left(&charges, &seen)), (true, expected));
        }
        assert!(
            store.acquire(key, &charges).await?.is_allowed(),
            "a look takes nothing"
        );
    }
    let seen = store.peek(key, &charges).await?;
    assert_eq!(
        (seen.is_allowed(), seen.limit),
        (false, 0),
        "a look sees a denial"
    );
    Ok(())
}

/// What lies further ahead than the capacity counts as a burst just taken.
async fn shrinking(store: &dyn RateLimitStore, key: &[u8]) -> Result<(), StoreError> {
    assert_eq!(admitted(store, key, &[calls(1, 50)], 60).await?, 50);
    let small = [calls(1, 2)];
    let denied = store.acquire(key, &small).await?;
    assert!(!denied.is_allowed());
    assert!(
        denied.wait <= small[0].interval,
        "nobody waits for what a larger limit gave"
    );
    let brisk = [Charge::new(SECOND / 25, SECOND / 25, SECOND / 25)];
    let denied = store.acquire(key, &brisk).await?;
    SystemClock.sleep(denied.retry_after()).await;
    let verdict = store.acquire(key, &brisk).await?;
    assert!(
        verdict.is_allowed(),
        "nor is told to wait again, but {verdict:?}"
    );
    Ok(())
}

async fn names(store: &dyn RateLimitStore, prefix: &str) -> Result<(), StoreError> {
    let tail = LONGEST_KEY - prefix.len() - 1;
    let mut keys = vec![Vec::new(), vec![0], vec![255; tail], vec![255; tail - 1]];
    keys.extend(["x", "X", "x ", "é", "%", "'"].map(|key| key.as_bytes().to_vec()));
    for key in &keys {
        let key = [prefix.as_bytes(), b"/", key].concat();
        let passed = admitted(store, &key, &[calls(1, 1)], 2).await?;
        assert_eq!(passed, 1, "each key is another: {key:?}");
    }
    Ok(())
}

/// Sixty-four callers at once get exactly the burst.
async fn together(store: &Arc<dyn RateLimitStore>, key: &[u8]) -> Result<(), StoreError> {
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let (store, key) = (Arc::clone(store), key.to_vec());
            tokio::spawn(async move {
                admitted(&*store, &key, &[calls(1, 300), calls(1, 1_000)], 10).await
            })
        })
        .collect();
    let mut total = 0;
    for caller in callers {
        total += caller.await.expect("no caller panics")?;
    }
    assert_eq!(total, 300, "exactly the burst is admitted");
    Ok(())
}

//! The faults that the tests of `perf-pool` look for, found by the same harness in pools that have them: a
//! harness that finds nothing anywhere would prove nothing.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// How long a connect takes, and how long a caller waits for it.
const CONNECT: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_millis(20);

/// Numbers that take a while to make, or that cannot be made.
#[derive(Clone, Debug, Default)]
struct Slow {
    attempts: Arc<AtomicU64>,
    fails: bool,
}

#[derive(Debug)]
struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("go away")
    }
}

impl std::error::Error for Refused {}

impl Slow {
    async fn make(&self) -> Result<u64, Refused> {
        let number = self.attempts.fetch_add(1, SeqCst);
        if self.fails {
            return Err(Refused);
        }
        tokio::time::sleep(CONNECT).await;
        Ok(number)
    }
}

impl perf_pool::Manager for Slow {
    type Resource = u64;
    type Error = Refused;

    async fn create(&self) -> Result<u64, Refused> {
        self.make().await
    }
}

impl deadpool::managed::Manager for Slow {
    type Type = u64;
    type Error = Refused;

    async fn create(&self) -> Result<u64, Refused> {
        self.make().await
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Refused> {
        Ok(())
    }
}

impl bb8::ManageConnection for Slow {
    type Connection = u64;
    type Error = Refused;

    async fn connect(&self) -> Result<u64, Refused> {
        self.make().await
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Refused> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

/// How many of 20 callers, each with less patience than a connect takes, are served, and how many connects
/// they cause.
async fn impatient_callers<T>(slow: &Slow, acquire: impl AsyncFn() -> Option<T>) -> (u64, u64) {
    let mut served = 0;
    for _ in 0..20 {
        if let Ok(Some(_item)) = tokio::time::timeout(PATIENCE, acquire()).await {
            served += 1;
        }
    }
    (served, slow.attempts.load(SeqCst))
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime can be had");
    runtime.block_on(test)
}

#[test]
fn a_connect_that_dies_with_its_caller_never_succeeds() {
    run(async {
        let slow = Slow::default();
        let ours = perf_pool::Pool::builder(slow.clone())
            .max_size(1)
            .build()
            .unwrap();
        let (served, attempts) = impatient_callers(&slow, async || ours.acquire().await.ok()).await;
        assert!(served >= 10, "{served}");
        assert_eq!(attempts, 1);

        let slow = Slow::default();
        let pool = deadpool::managed::Pool::<Slow>::builder(slow.clone()).max_size(1);
        let deadpool = pool.build().unwrap();
        let (served, attempts) = impatient_callers(&slow, async || deadpool.get().await.ok()).await;
        assert_eq!((served, attempts), (0, 20), "deadpool has been cured");
    });
}

#[test]
fn a_failure_that_is_swallowed_is_missed() {
    run(async {
        let slow = Slow {
            fails: true,
            ..Slow::default()
        };
        let ours = perf_pool::Pool::builder(slow.clone())
            .acquire_timeout(Duration::from_millis(200))
            .build()
            .unwrap();
        let error = ours.acquire().await.map(drop).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("go away"));

        let bb8 = bb8::Pool::builder()
            .connection_timeout(Duration::from_millis(200))
            .build_unchecked(slow);
        let error = bb8.get().await.map(drop).unwrap_err();
        assert!(
            std::error::Error::source(&error).is_none(),
            "bb8 has been cured"
        );
        assert!(!error.to_string().contains("go away"), "bb8 has been cured");
    });
}

//! A second attempt while the first still runs.
//!
//! Where one call in a hundred is slow for no reason of its own, asking twice and taking the first answer
//! cuts that tail at the price of a few more calls. The price stays small only if the second call waits
//! until the first is late, and if a callee that is slow as a whole does not get twice the load: hence the
//! delay, by default a percentile of what calls lately took, and the budget.
//!
//! Source: Jeffrey Dean and Luiz André Barroso, *The Tail at Scale*, 2013.

mod call;
mod late;

use crate::budget::RetryBudget;
use crate::check;
use crate::error::ConfigError;
use crate::guard::MakeCall;
use crate::holder::Holder;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Ordering::Relaxed};
use late::Lateness;
use perf_core::{Clock, SystemClock};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use call::HedgeCall;

/// Asks a second time when the first answer is late. Clones share what they have learnt.
///
/// Only for calls that may be made twice.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::Hedge;
/// use std::time::Duration;
///
/// let hedge = Hedge::builder().delay(Duration::from_millis(20)).build()?;
/// let mut calls = 0;
/// let reply = hedge
///     .call(|| {
///         calls += 1;
///         let hangs = calls == 1;
///         async move {
///             if hangs {
///                 std::future::pending::<()>().await;
///             }
///             Ok::<_, ()>(7)
///         }
///     })
///     .await;
/// assert_eq!((reply, calls), (Ok(7), 2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Hedge<K = SystemClock> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    lateness: Lateness,
    budget: Arc<RetryBudget<K>>,
    clock: K,
    hedged: AtomicU64,
    won: AtomicU64,
}

/// The settings of a [`Hedge`], checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct HedgeBuilder<K = SystemClock> {
    late: Late,
    budget: Option<Arc<RetryBudget<K>>>,
    clock: K,
}

#[derive(Clone, Copy, Debug)]
enum Late {
    After(Duration),
    Beyond(f64),
}

impl Hedge {
    /// Settings to build from: a second call beyond the 95th percentile, for at most a tenth of all calls
    /// and one a second.
    pub const fn builder() -> HedgeBuilder {
        HedgeBuilder {
            late: Late::Beyond(0.95),
            budget: None,
            clock: SystemClock,
        }
    }
}

impl<K: Clock + Clone> HedgeBuilder<K> {
    /// Takes a call for late after this time.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.late = Late::After(delay);
        self
    }

    /// Takes a call for late when it has lasted longer than this share of those before it; above 0, at
    /// most 1. The first hundred calls are only watched.
    pub const fn percentile(mut self, share: f64) -> Self {
        self.late = Late::Beyond(share);
        self
    }

    /// Takes each second call from `budget`, which retries may share.
    pub fn budget(mut self, budget: Arc<RetryBudget<K>>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Measures and waits on `clock`. Back to the default budget.
    pub fn clock<L: Clock + Clone>(self, clock: L) -> HedgeBuilder<L> {
        HedgeBuilder {
            late: self.late,
            budget: None,
            clock,
        }
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] if the percentile or the delay is out of range.
    pub fn build(self) -> Result<Hedge<K>, ConfigError> {
        let lateness = match self.late {
            Late::After(delay) => {
                check::span("hedge delay", delay, Duration::ZERO)?;
                Lateness::fixed(delay)
            }
            Late::Beyond(share) => {
                check::share("hedge percentile", share)?;
                Lateness::learnt(share)
            }
        };
        let budget = match self.budget {
            Some(budget) => budget,
            None => {
                let allowance: Quota = "1/second".parse()?;
                let clock = self.clock.clone();
                Arc::new(RetryBudget::with_clock(0.1, &allowance, clock)?)
            }
        };
        let shared = Shared {
            lateness,
            budget,
            clock: self.clock,
            hedged: AtomicU64::new(0),
            won: AtomicU64::new(0),
        };
        Ok(Hedge {
            shared: Arc::new(shared),
        })
    }
}

impl<K: Clock> Hedge<K> {
    /// Awaits what `make` makes; when that is late, makes another, and returns the first success. The
    /// other one is dropped.
    ///
    /// # Errors
    ///
    /// The error of the last call to fail, once no other is under way. A first call that fails before it is
    /// late is not repeated: that is a retry's matter.
    ///
    /// # Panics
    ///
    /// On the default clock, a call that has to wait panics outside a tokio runtime with its timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the calls under way.
    pub fn call<T, E, M>(&self, make: M) -> HedgeCall<'_, M, K>
    where
        M: MakeCall,
        M::Future: Future<Output = Result<T, E>>,
    {
        HedgeCall::new(Holder::Borrowed(&self.shared), make)
    }

    /// As [`call`](Self::call), and borrows nothing, so that the call can be spawned.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub fn call_owned<T, E, M>(&self, make: M) -> HedgeCall<'static, M, K>
    where
        M: MakeCall,
        M::Future: Future<Output = Result<T, E>>,
    {
        HedgeCall::new(Holder::Owned(Arc::clone(&self.shared)), make)
    }

    /// After what time a call is late now; `None` while too few have been watched.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.shared.lateness.delay()
    }

    /// How many second calls were made.
    #[must_use]
    pub fn hedged(&self) -> u64 {
        self.shared.hedged.load(Relaxed)
    }

    /// How many of them answered first.
    #[must_use]
    pub fn won(&self) -> u64 {
        self.shared.won.load(Relaxed)
    }
}

impl<K> Clone for Hedge<K> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

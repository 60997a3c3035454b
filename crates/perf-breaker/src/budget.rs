//! How many retries a service as a whole may make.
//!
//! A fixed number of attempts for each call multiplies the load on a server just when it fails most. A
//! budget ties retries to the calls that they accompany: each first attempt pays in a fraction of a
//! retry, each retry takes out a whole one. In a healthy service it is always full; when everything
//! fails, retries add that fraction to the load and no more. A small allowance that comes back with time
//! lets a service retry that makes few calls.

use crate::error::ConfigError;
use crate::limiter::RateLimiter;
use crate::quota::Quota;
use crate::sync::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use perf_core::{Clock, SystemClock};

/// A bounded account of retries, shared by everything that retries against one callee.
///
/// ```
/// # fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::RetryBudget;
/// use perf_core::RetryBudget as _;
///
/// let budget = RetryBudget::new(0.2, &"1/hour".parse()?)?;
/// assert!(budget.withdraw()); // the allowance
/// assert!(!budget.withdraw());
/// (0..5).for_each(|_| budget.deposit()); // five first attempts pay for one retry
/// assert!(budget.withdraw());
/// assert!(!budget.withdraw());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RetryBudget<K = SystemClock> {
    /// In thousandths of a retry.
    balance: AtomicU64,
    deposit: u64,
    allowance: RateLimiter<K>,
}

const WHOLE: u64 = 1_000;
/// What a long time without failures may save up.
const MOST_RETRIES: u64 = 100;

impl RetryBudget {
    /// A budget of `share` retries for each first attempt, 0 to 1, and what `allowance` grants besides;
    /// 0.2 and ten a second suit most callers. At most 100 retries are saved up.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Rate`] if the share is outside its range.
    pub fn new(share: f64, allowance: &Quota) -> Result<Self, ConfigError> {
        Self::with_clock(share, allowance, SystemClock)
    }
}

impl<K: Clock> RetryBudget<K> {
    /// A budget on `clock`.
    ///
    /// # Errors
    ///
    /// As [`RetryBudget::new`].
    pub fn with_clock(share: f64, allowance: &Quota, clock: K) -> Result<Self, ConfigError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(ConfigError::Rate {
                setting: "retry share",
                value: share,
            });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the share is between 0 and 1"
        )]
        let deposit = (share * 1_000.0).round() as u64;
        Ok(Self {
            balance: AtomicU64::new(0),
            deposit,
            allowance: RateLimiter::with_clock(allowance, clock),
        })
    }

    /// How many retries are saved up, beside the allowance.
    #[must_use]
    pub fn balance(&self) -> u64 {
        self.balance.load(Acquire) / WHOLE
    }
}

impl<K: Clock> perf_core::RetryBudget for RetryBudget<K> {
    fn withdraw(&self) -> bool {
        let pay = |balance: u64| balance.checked_sub(WHOLE);
        self.balance.fetch_update(AcqRel, Acquire, pay).is_ok()
            || self.allowance.check().is_allowed()
    }

    #[inline]
    fn deposit(&self) {
        let full = WHOLE * MOST_RETRIES;
        // A full account is only looked at: the healthy path of a busy service writes nothing.
        if self.balance.load(Acquire) >= full {
            return;
        }
        let save = |balance: u64| (balance < full).then(|| (balance + self.deposit).min(full));
        // Declined: somebody else has just filled it.
        let _full = self.balance.fetch_update(AcqRel, Acquire, save);
    }
}

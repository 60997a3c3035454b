use std::time::Duration;

/// What a result says about the health of whoever produced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing: the caller's own mistake, a cancellation. The call counts as if it had not been made; a
    /// probe gives its permit back.
    Ignore,
    /// It does not, and says for how long: a `Retry-After`. The breaker opens at once for that time, or
    /// for the longest open time if that is shorter: no answer can shut it for good.
    OpenFor(Duration),
}

/// Judges results.
///
/// Any closure `Fn(&Result<T, E>) -> Outcome` is a classifier:
///
/// ```
/// use perf_breaker::{CircuitBreaker, Outcome};
/// use std::io::{Error, ErrorKind};
///
/// # fn main() -> Result<(), perf_breaker::ConfigError> {
/// let breaker = CircuitBreaker::builder("disk")
///     .consecutive_failures(1)
///     .classify(|result: &Result<String, Error>| match result {
///         Err(error) if error.kind() == ErrorKind::NotFound => Outcome::Ignore,
///         Err(_) => Outcome::Failure,
///         Ok(_) => Outcome::Success,
///     })
///     .build()?;
/// let missing = breaker.run(|| Err(ErrorKind::NotFound.into()));
/// assert!(missing.is_err());
/// assert_eq!(breaker.snapshot().calls, 0);
/// # Ok(())
/// # }
/// ```
pub trait Classify<T, E> {
    /// What `result` says. It runs outside any lock; a panic in it counts as a failed call.
    fn classify(&self, result: &Result<T, E>) -> Outcome;
}

/// The classifier that takes every error for a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnyError;

impl<T, E> Classify<T, E> for AnyError {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure,
        }
    }
}

impl<T, E, F: Fn(&Result<T, E>) -> Outcome> Classify<T, E> for F {
    #[inline]
    fn classify(&self, result: &Result<T, E>) -> Outcome {
        self(result)
    }
}

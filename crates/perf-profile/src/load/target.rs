use std::fmt::Display;
use std::future::Future;

/// What load is sent to. An async closure of the request's number is one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), perf_profile::ProfileError> {
/// use perf_profile::{LoadTest, Stages};
/// use std::time::Duration;
///
/// let every_tenth_fails = |number: u64| async move {
///     if number % 10 == 9 { Err("refused") } else { Ok(()) }
/// };
/// let test = LoadTest::open(&Stages::at(100.0).hold(Duration::from_secs(1)))?;
/// let report = test.run(every_tenth_fails).await?;
/// assert_eq!((report.succeeded, report.failures["refused"]), (90, 10));
/// # Ok(())
/// # }
/// ```
pub trait Target: Send + Sync + 'static {
    /// Why a request failed. Its text is what a report counts failures by, so it should not hold what
    /// differs from request to request.
    type Error: Display + Send;

    /// Sends request `number`, counted from 0, and waits until it is answered in full.
    fn send(&self, number: u64) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether anybody is there, asked once before the first request. Default: yes.
    fn probe(&self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }
}

impl<F, A, E> Target for F
where
    F: Fn(u64) -> A + Send + Sync + 'static,
    A: Future<Output = Result<(), E>> + Send,
    E: Display + Send,
{
    type Error = E;

    fn send(&self, number: u64) -> impl Future<Output = Result<(), E>> + Send {
        self(number)
    }
}

use super::Manager;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

/// The manager of [`from_fn`].
pub struct FromFn<F, R, E> {
    create: F,
    _creates: PhantomData<fn() -> Result<R, E>>,
}

/// A manager whose resources come from an asynchronous closure and need no care afterwards.
///
/// ```
/// use perf_pool::{Pool, from_fn};
/// use std::io;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder(from_fn(async || io::Result::Ok(String::new()))).build()?;
/// assert!(pool.acquire().await?.is_empty());
/// # Ok(())
/// # }
/// ```
pub const fn from_fn<F, A, R, E>(create: F) -> FromFn<F, R, E>
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Result<R, E>> + Send,
    R: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    FromFn {
        create,
        _creates: PhantomData,
    }
}

impl<F, A, R, E> Manager for FromFn<F, R, E>
where
    F: Fn() -> A + Send + Sync + 'static,
    A: Future<Output = Result<R, E>> + Send,
    R: Send + 'static,
    E: Error + Send + Sync + 'static,
{
    type Resource = R;
    type Error = E;

    async fn create(&self) -> Result<R, E> {
        (self.create)().await
    }
}

impl<F, R, E> fmt::Debug for FromFn<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

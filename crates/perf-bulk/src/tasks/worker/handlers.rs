//! From a task's name to what runs it.

use super::job::Job;
use crate::error::BoxError;
use crate::sink::describe;
use crate::tasks::Task;
use futures_core::future::BoxFuture;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

/// Handlers by the names of their tasks.
pub(super) type Handlers = HashMap<&'static str, Arc<Handler>>;

/// Runs a task, given its arguments in JSON; its output in JSON.
pub(super) type Handler =
    dyn Fn(String, Job) -> BoxFuture<'static, Result<String, Failure>> + Send + Sync;

/// Why a run failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: String,
    /// Whether trying again would fail again.
    pub(super) is_permanent: bool,
}

impl Failure {
    pub(super) fn passing(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            is_permanent: false,
        }
    }

    pub(super) fn permanent(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            is_permanent: true,
        }
    }
}

/// An error that trying again does not cure: a handler that returns it gives its task up.
///
/// ```
/// use perf_bulk::{BoxError, Permanent};
///
/// fn recipient(address: &str) -> Result<&str, BoxError> {
///     if address.contains('@') {
///         Ok(address)
///     } else {
///         Err(Permanent::new("no address").into())
///     }
/// }
/// assert!(recipient("nobody").unwrap_err().is::<Permanent>());
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Permanent(BoxError);

impl Permanent {
    /// Marks an error as permanent.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

/// A handler whose types are forgotten.
pub(super) fn erase<T, F, A>(handler: F) -> Arc<Handler>
where
    T: Task,
    F: Fn(T, Job) -> A + Send + Sync + 'static,
    A: Future<Output = Result<T::Output, BoxError>> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |args, job| {
        let handler = Arc::clone(&handler);
        Box::pin(async move {
            let task = serde_json::from_str(&args).map_err(|error| {
                Failure::permanent(format!("the arguments are not those of the task: {error}"))
            })?;
            let output = handler(task, job).await.map_err(judge)?;
            serde_json::to_string(&output).map_err(|error| {
                Failure::permanent(format!("the output has no form in JSON: {error}"))
            })
        })
    })
}

fn judge(error: BoxError) -> Failure {
    Failure {
        error: describe(&*error),
        is_permanent: error.is::<Permanent>(),
    }
}

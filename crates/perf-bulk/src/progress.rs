//! How far a bulk operation is.

use perf_core::{Clock, Moment};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How far a bulk operation is, as its observer sees it.
///
/// Rows count once they are sent; a COMMIT that fails takes them back, where the rest goes on. An observer is any closure:
///
/// ```
/// use perf_bulk::BulkInsert;
///
/// # mod indicatif {
/// #     pub struct ProgressBar;
/// #     impl ProgressBar {
/// #         pub fn new(_: u64) -> Self { Self }
/// #         pub fn set_position(&self, _: u64) {}
/// #     }
/// # }
/// let bar = indicatif::ProgressBar::new(27_004);
/// let insert = BulkInsert::into("flights").progress(|at| bar.set_position(at.rows));
/// # drop(insert);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Rows sent or set aside as bad so far.
    pub rows: u64,
    /// Bytes of values sent so far, without the protocol's own.
    pub bytes: u64,
    /// How many rows there are in total, when the input knows.
    pub total: Option<u64>,
    /// The time since the operation began.
    pub elapsed: Duration,
}

impl Progress {
    /// The mean rate so far; zero at the start.
    #[must_use]
    pub fn rows_per_second(&self) -> f64 {
        rate(self.rows, self.elapsed)
    }

    /// The mean rate so far; zero at the start.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        rate(self.bytes, self.elapsed)
    }

    /// The time left at the mean rate so far; `None` while the rate or the total is unknown.
    #[must_use]
    pub fn eta(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.rows);
        Duration::try_from_secs_f64(left as f64 / self.rows_per_second()).ok()
    }
}

fn rate(count: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        0.0
    } else {
        count as f64 / elapsed.as_secs_f64()
    }
}

/// Called with the state of an operation as it advances.
pub(crate) type Observer<'p> = Box<dyn FnMut(&Progress) + Send + 'p>;

/// Counts what an operation has done and tells its observer.
pub struct Meter<'p> {
    observer: Option<Observer<'p>>,
    clock: Arc<dyn Clock>,
    start: Moment,
    rows: u64,
    bytes: u64,
    total: Option<u64>,
}

impl<'p> Meter<'p> {
    /// Begins to count, out of `total` rows.
    pub(crate) fn start(
        clock: Arc<dyn Clock>,
        observer: Option<Observer<'p>>,
        total: Option<u64>,
    ) -> Self {
        Self {
            observer,
            start: clock.now(),
            clock,
            rows: 0,
            bytes: 0,
            total,
        }
    }

    /// Adds what was sent since the last call.
    pub(crate) fn advance(&mut self, rows: u64, bytes: u64) {
        self.rows += rows;
        self.bytes += bytes;
        let progress = self.progress();
        if let Some(observer) = &mut self.observer {
            observer(&progress);
        }
    }

    /// How many rows and bytes were sent, to [`return_to`](Self::return_to) if they are undone.
    pub(crate) const fn position(&self) -> (u64, u64) {
        (self.rows, self.bytes)
    }

    pub(crate) const fn return_to(&mut self, (rows, bytes): (u64, u64)) {
        (self.rows, self.bytes) = (rows, bytes);
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            rows: self.rows,
            bytes: self.bytes,
            total: self.total,
            elapsed: self.clock.now().since(self.start),
        }
    }
}

impl fmt::Debug for Meter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.progress().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_eta_follow_from_what_was_done() {
        let progress = Progress {
            rows: 300,
            bytes: 6_000,
            total: Some(1_200),
            elapsed: Duration::from_secs(3),
        };
        assert_eq!(progress.rows_per_second(), 100.0);
        assert_eq!(progress.bytes_per_second(), 2_000.0);
        assert_eq!(progress.eta(), Some(Duration::from_secs(9)));
    }

    #[test]
    fn an_unknown_rate_or_total_has_no_eta() {
        let start = Progress {
            rows: 0,
            bytes: 0,
            total: Some(5),
            elapsed: Duration::ZERO,
        };
        assert_eq!((start.rows_per_second(), start.eta()), (0.0, None));
        let endless = Progress {
            rows: 10,
            total: None,
            elapsed: Duration::from_secs(1),
            ..start
        };
        assert_eq!(endless.eta(), None);
    }
}

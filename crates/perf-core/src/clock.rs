//! Time as an argument.
//!
//! Every part of Perfkit that waits, expires or measures reads a [`Clock`] that its user can replace,
//! so that a test moves an hour in a microsecond. Three implementations serve three needs:
//!
//! | clock | a reading costs | follows a paused tokio clock | use |
//! |---|---|---|---|
//! | [`SystemClock`] | one clock read, 20 to 30 ns | yes | the default |
//! | [`CoarseClock`] | one relaxed load | no | expiry checks on paths of a few nanoseconds |
//! | [`ManualClock`] | one relaxed load | no | tests |
//!
//! A point in time is a [`Moment`]: nanoseconds in a `u64`, because a policy that packs a deadline into
//! an atomic word cannot do so with an opaque `std::time::Instant`.

mod coarse;
mod manual;
mod moment;
mod system;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

pub use coarse::CoarseClock;
pub use manual::ManualClock;
pub use moment::Moment;
pub use system::SystemClock;

/// The future of [`Clock::sleep_until`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of monotonic time, wall time and timed waits.
///
/// Moments of one clock must not be compared with those of another.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The monotonic time now. It never decreases.
    fn now(&self) -> Moment;

    /// A reading that never leads [`now`](Self::now) and may lag some milliseconds behind it, if the clock
    /// has one that costs less; else `now` itself.
    ///
    /// It answers whether something is far off yet. Who is told "no longer" asks `now`.
    fn recent(&self) -> Moment {
        self.now()
    }

    /// The wall-clock time now, for what leaves the process. It may jump.
    fn wall(&self) -> SystemTime;

    /// Waits until the clock has reached `deadline`; a past deadline is ready at the first poll.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the wait and changes nothing else.
    fn sleep_until(&self, deadline: Moment) -> Sleep;

    /// Waits for `duration` from now.
    ///
    /// # Cancel safety
    ///
    /// As [`Clock::sleep_until`].
    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(duration))
    }
}

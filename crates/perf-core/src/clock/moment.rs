use std::time::Duration;

/// A point on one clock's monotonic axis: nanoseconds since that clock's origin.
///
/// Range: 0 to 2⁶⁴ − 1 ns, about 584 years. Arithmetic saturates at both ends, because a deadline
/// beyond the end of time means "never" and not an overflow.
///
/// ```
/// use perf_core::Moment;
/// use std::time::Duration;
///
/// let start = Moment::from_nanos(1_000);
/// let later = start.saturating_add(Duration::from_micros(1));
/// assert_eq!(later.as_nanos(), 2_000);
/// assert_eq!(later.since(start), Duration::from_nanos(1_000));
/// assert_eq!(start.since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The clock's origin.
    pub const ORIGIN: Self = Self(0);
    /// A point that no clock reaches.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the clock's origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to here; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `duration` later, at most [`Moment::NEVER`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(duration)))
    }

    /// The moment `duration` earlier, at least [`Moment::ORIGIN`].
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(duration)))
    }
}

/// A duration in nanoseconds; what exceeds 584 years becomes `u64::MAX`.
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

use std::num::NonZeroU64;
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// Which bytes are held back. They are delivered when the silence ends, as after a healed partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Silence {
    /// Connections open, then nothing moves. A new one does not reach the server before the silence ends.
    Both,
    /// The server hears nothing, not even that the client has closed.
    ToServer,
    /// The client hears nothing, not even that the server has closed.
    ToClient,
}

/// What the network does to each connection. Faults add up.
///
/// ```
/// use perf_testkit::Faults;
/// use std::time::Duration;
///
/// let far_and_lossy = Faults::none()
///     .with_delay(Duration::from_millis(40))
///     .with_jitter(Duration::from_millis(10))
///     .with_lost_connections(5)
///     .with_seed(7);
/// assert_ne!(far_and_lossy, Faults::none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) bytes_per_second: Option<NonZeroU64>,
    pub(super) lost_connections: u8,
    pub(super) lost_chunks: u8,
    pub(super) silence: Option<Silence>,
    pub(super) seed: u64,
}

impl Faults {
    /// No faults: everything passes at once.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Delivers each byte `delay` after it was sent, in each direction; the round trip takes twice that.
    ///
    /// Bytes travel one behind another, so throughput stays. The timer's grain is 1 ms.
    #[must_use]
    pub fn with_delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Adds an evenly distributed random delay from zero to `jitter`. The order of bytes stays.
    #[must_use]
    pub fn with_jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Limits each connection in each direction.
    #[must_use]
    pub fn with_bandwidth(self, bytes_per_second: NonZeroU64) -> Self {
        let bytes_per_second = Some(bytes_per_second);
        Self {
            bytes_per_second,
            ..self
        }
    }

    /// Resets this percentage of new connections as soon as they are accepted. From 100 on, all.
    #[must_use]
    pub fn with_lost_connections(self, percent: u8) -> Self {
        Self {
            lost_connections: percent,
            ..self
        }
    }

    /// Drops this percentage of chunks out of the stream, which leaves a gap that TCP would not. From 100 on, all.
    ///
    /// A chunk is what one read of at most 16 KiB yields. It is for protocols with messages of their own that
    /// must notice the loss, such as publish and subscribe.
    #[must_use]
    pub fn with_lost_chunks(self, percent: u8) -> Self {
        Self {
            lost_chunks: percent,
            ..self
        }
    }

    /// Holds bytes back without closing anything.
    #[must_use]
    pub fn with_silence(self, silence: Silence) -> Self {
        let silence = Some(silence);
        Self { silence, ..self }
    }

    /// Chooses the random numbers: equal seeds treat the n-th connection equally. It is 0 if not set.
    ///
    /// A connection keeps the seed that was in force when it was accepted.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    pub(super) fn silences(&self, direction: Direction) -> bool {
        match self.silence {
            None => false,
            Some(Silence::Both) => true,
            Some(Silence::ToServer) => direction == Direction::ToServer,
            Some(Silence::ToClient) => direction == Direction::ToClient,
        }
    }

    /// How long the link is busy with `bytes`.
    pub(super) fn transmission(&self, bytes: usize) -> Duration {
        let Some(rate) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

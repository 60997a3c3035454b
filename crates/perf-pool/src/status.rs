use crate::health::CloseReason;
use crate::holder::StaticRef;
use perf_core::{Histogram, Moment, Summary};
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// A pool's resources by what becomes of them now. Each slot is counted once, in one pass, so the
/// figures add up to no more resources than there may be, whatever happens meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The most resources there may be.
    pub max_size: usize,
    /// Ready to be handed out.
    pub idle: usize,
    /// With a holder.
    pub in_use: usize,
    /// Being created, or waiting to be tried again.
    pub connecting: usize,
    /// Being checked or cleaned.
    pub checking: usize,
    /// Being closed.
    pub closing: usize,
    /// Callers in line.
    pub waiting: usize,
    /// Whether the pool is suspended.
    pub suspended: bool,
}

impl Status {
    /// Resources that exist or are being created.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.idle + self.in_use + self.connecting + self.checking + self.closing
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            max_size,
            idle,
            in_use,
            waiting,
            ..
        } = self;
        write!(
            f,
            "{in_use} of {max_size} in use, {idle} idle, {waiting} waiting"
        )?;
        for (count, what) in [
            (self.connecting, "connecting"),
            (self.checking, "checking"),
            (self.closing, "closing"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.suspended {
            f.write_str(", suspended")?;
        }
        Ok(())
    }
}

/// What a pool has done since it was built.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Resources handed out.
    pub acquired: u64,
    /// How long those waited who had to. Those who found something idle are not in it.
    pub wait: Summary,
    /// How long holders kept resources; shorter than the clock's resolution counts as zero.
    pub hold: Summary,
    /// How long creating took, successes only; its count is that of resources created.
    pub create: Summary,
    /// How long checks after idling took.
    pub check: Summary,
    /// Attempts to create that failed or took too long.
    pub create_failures: u64,
    /// Callers whose deadline passed.
    pub timeouts: u64,
    /// Callers turned away because too many waited.
    pub refused: u64,
    /// Callers turned away when their turn came, because of overload.
    pub shed: u64,
    /// Holders reported because they kept a resource for longer than
    /// [`leak_after`](crate::PoolBuilder::leak_after).
    pub leaks: u64,
    /// How often another runtime had to do the pool's work, because the one that did stood still.
    pub takeovers: u64,
    /// Resources given up, by reason; reasons that never occurred are left out.
    pub closed: Vec<(CloseReason, u64)>,
}

/// The counters behind [`Metrics`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hold: Histogram,
    pub(crate) create: Histogram,
    pub(crate) check: Histogram,
    pub(crate) create_failures: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) leaks: AtomicU64,
    pub(crate) takeovers: AtomicU64,
    closed: [AtomicU64; CloseReason::ALL.len()],
}

impl Counters {
    pub(crate) fn count_closed(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn metrics(&self, acquired: u64, wait: Summary) -> Metrics {
        let closed = CloseReason::ALL.into_iter().zip(&self.closed);
        Metrics {
            acquired,
            wait,
            hold: self.hold.snapshot().summary(),
            create: self.create.snapshot().summary(),
            check: self.check.snapshot().summary(),
            create_failures: self.create_failures.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            refused: self.refused.load(Relaxed),
            shed: self.shed.load(Relaxed),
            leaks: self.leaks.load(Relaxed),
            takeovers: self.takeovers.load(Relaxed),
            closed: closed
                .map(|(reason, count)| (reason, count.load(Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

/// What anybody may read of one slot, whoever holds it. Written by the holder of its ticket alone, but
/// for the marks, which the keeper makes. Begins a line of the processor's cache, as the slot does.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Gauge {
    stage: AtomicU8,
    /// What the keeper has done about the current hold.
    marks: AtomicU8,
    served: AtomicU64,
    retires: AtomicU64,
    taken: AtomicU64,
    caller: AtomicU64,
    location: StaticRef<Location<'static>>,
}

/// The current hold was reported as a leak.
const REPORTED: u8 = 1;
/// Another resource may be created in place of this one.
const REPLACED: u8 = 2;

/// Where a slot's resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Vacant,
    Connecting,
    Idle,
    InUse,
    /// Being checked or cleaned, and likely to come back.
    Checking,
    /// Being checked because another was found dead, and likely to be dead itself.
    Suspect,
    Closing,
}

impl Gauge {
    const STAGES: [Stage; 7] = [
        Stage::Vacant,
        Stage::Connecting,
        Stage::Idle,
        Stage::InUse,
        Stage::Checking,
        Stage::Suspect,
        Stage::Closing,
    ];

    pub(crate) fn stage(&self) -> Stage {
        Self::STAGES[usize::from(self.stage.load(Relaxed))]
    }

    #[inline]
    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    /// Counts a hand-out. A plain load and store: the ticket's holder is the only writer.
    #[inline]
    pub(crate) fn count_served(&self) {
        self.served
            .store(self.served.load(Relaxed).wrapping_add(1), Relaxed);
    }

    #[inline]
    pub(crate) fn set_holder(
        &self,
        location: &'static Location<'static>,
        caller: u64,
        taken: Moment,
    ) {
        self.location.set(location);
        self.caller.store(caller, Relaxed);
        self.taken.store(taken.as_nanos(), Relaxed);
    }

    /// Where the resource was acquired, by whom and when, if somebody holds it. The three may belong to
    /// two holders if one follows the other just now.
    pub(crate) fn holder(&self) -> Option<(&'static Location<'static>, u64, Moment)> {
        if self.stage() != Stage::InUse {
            return None;
        }
        let taken = Moment::from_nanos(self.taken.load(Relaxed));
        Some((self.location.target()?, self.caller.load(Relaxed), taken))
    }

    /// Notes that the current hold is reported as a leak, and whether another resource may take the
    /// place of this one. `false` if that was noted before.
    pub(crate) fn mark_leaked(&self, replaced: bool) -> bool {
        let marks = if replaced {
            REPORTED | REPLACED
        } else {
            REPORTED
        };
        self.marks.fetch_or(marks, Relaxed) == 0
    }

    /// Forgets the marks of the hold. Whether the resource had been replaced.
    #[inline]
    pub(crate) fn end_hold(&self) -> bool {
        self.is_marked() && self.marks.swap(0, Relaxed) & REPLACED != 0
    }

    /// Whether the current hold was reported.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.marks.load(Relaxed) != 0
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// When it is to be given up if it stays idle, in nanoseconds of the pool's clock.
    pub(crate) fn retires(&self) -> u64 {
        self.retires.load(Relaxed)
    }

    #[inline]
    pub(crate) fn set_retires(&self, nanos: u64) {
        self.retires.store(nanos, Relaxed);
    }
}

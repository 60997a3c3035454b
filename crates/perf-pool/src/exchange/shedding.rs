use perf_core::Moment;
use std::time::Duration;

/// When to turn away those who wait, because more come than can be served.
///
/// A burst fills the line and the line drains; an overload fills it for good, and then everybody waits
/// long, most of them for an answer that they no longer want. The two are told apart by whether the
/// line was ever empty during the last interval. If it was not, a place in it is worth no more than the
/// target: whoever has waited longer when their turn comes is turned away, and the resource goes to the
/// next, who still has time. Resources never idle over it, so nothing is lost but the waiting.
///
/// This is the "controlled delay" of Ben Maurer, *Fail at Scale*, ACM Queue 13(8), 2015. CoDel itself
/// drops at a growing rate, which suits packets, whose senders slow down; callers do not.
#[derive(Clone, Copy, Debug)]
pub struct Shedding {
    target: Duration,
    interval: Duration,
}

impl Shedding {
    /// Turns away who waited longer than `target`, once the line was never empty for twice as long.
    pub const fn above(target: Duration) -> Self {
        Self {
            target,
            interval: target.saturating_mul(2),
        }
    }

    pub(super) fn sheds(self, busy_since: Moment, waits_since: Moment, now: Moment) -> bool {
        now.since(busy_since) > self.interval && now.since(waits_since) > self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_burst_is_waited_out_and_an_overload_is_shed() {
        let shedding = Shedding::above(Duration::from_millis(50));
        assert!(
            !shedding.sheds(at(0), at(0), at(100)),
            "the line may still drain"
        );
        assert!(shedding.sheds(at(0), at(0), at(101)));
        assert!(shedding.sheds(at(0), at(949), at(1_000)));
        assert!(
            !shedding.sheds(at(0), at(950), at(1_000)),
            "it came late enough"
        );
        assert!(
            !shedding.sheds(at(900), at(900), at(1_000)),
            "the line was empty at 900"
        );
    }
}

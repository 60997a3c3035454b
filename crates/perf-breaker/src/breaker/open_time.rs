use std::time::Duration;

/// How long a breaker stays open: doubled each time that its probes fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenTime {
    pub(super) base: Duration,
    pub(super) cap: Duration,
    /// The share by which a draw may differ from the computed time.
    pub(super) jitter: f64,
}

impl OpenTime {
    /// What is granted of a time that a result asked for.
    pub(super) fn grant(&self, asked: Duration) -> Duration {
        asked.min(self.cap)
    }

    /// The time after `streak` failed rounds of probes; `random` is drawn from 0 to 1.
    ///
    /// Never more than the cap. At the cap only the lower half of the jitter remains, which still keeps
    /// a thousand instances from probing at the same moment.
    pub(super) fn draw(&self, streak: u64, random: f64) -> Duration {
        let factor = 1_u32 << streak.min(15);
        let full = self.base.saturating_mul(factor).min(self.cap);
        let low = full.mul_f64(1.0 - self.jitter);
        let high = full.mul_f64(1.0 + self.jitter).min(self.cap);
        low + (high.saturating_sub(low)).mul_f64(random)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_up_to_the_cap() {
        let time = OpenTime {
            base: Duration::from_secs(5),
            cap: Duration::from_secs(60),
            jitter: 0.0,
        };
        let seconds: Vec<_> = (0..6)
            .map(|streak| time.draw(streak, 0.9).as_secs())
            .collect();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60]);
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_share_and_the_cap(streak in 0..20_u64, random in 0.0..1.0_f64) {
            let time = OpenTime {
                base: Duration::from_secs(4),
                cap: Duration::from_secs(100),
                jitter: 0.25,
            };
            let drawn = time.draw(streak, random);
            prop_assert!(drawn >= Duration::from_secs(3) && drawn <= Duration::from_secs(100));
            if streak == 0 {
                prop_assert!(drawn <= Duration::from_secs(5));
            }
        }
    }
}

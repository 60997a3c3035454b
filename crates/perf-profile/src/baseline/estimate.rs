/// The fewest samples on each side that decide anything.
const MIN_SAMPLES: usize = 8;
/// How many standard deviations of the Mann–Whitney statistic a two-sided 99.5 % interval spans each way.
const DEVIATIONS: f64 = 2.807;

/// By what factor a metric changed: the estimate and its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) ratio: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Estimates `current ÷ before`; `None` when there are too few samples for any interval.
pub(super) fn estimate(before: &[f64], current: &[f64]) -> Option<Estimate> {
    if before.len().min(current.len()) < MIN_SAMPLES {
        return None;
    }
    let ratios = |from: &f64| current.iter().map(|to| to / from).collect::<Vec<_>>();
    let mut ratios: Vec<f64> = before.iter().flat_map(ratios).collect();
    ratios.sort_by(f64::total_cmp);
    let pairs = ratios.len() as f64;
    let variance = pairs * (before.len() + current.len() + 1) as f64 / 12.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to integer cast saturates: below 0 it is the first pair"
    )]
    let cut = (pairs / 2.0 - DEVIATIONS * variance.sqrt()).floor() as usize;
    let last = ratios.len() - 1;
    Some(Estimate {
        ratio: (ratios[last / 2] * ratios[ratios.len() / 2]).sqrt(),
        low: ratios[cut],
        high: ratios[last - cut],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise as load tests have it: log-normal by 5 %, one sample in 20 twice as high.
    fn noisy(random: &mut fastrand::Rng, level: f64) -> Vec<f64> {
        let mut sample = || {
            let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
            let outlier = if random.u8(0..20) == 0 { 2.0 } else { 1.0 };
            level * (0.05 * normal).exp() * outlier
        };
        (0..30).map(|_| sample()).collect()
    }

    fn mean(samples: &[f64]) -> f64 {
        samples.iter().sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn equal_programs_are_seldom_told_apart() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut apart, mut by_mean) = (0, 0);
        for _ in 0..1_000 {
            let (before, current) = (noisy(&mut random, 1.0), noisy(&mut random, 1.0));
            let Some(estimate) = estimate(&before, &current) else {
                unreachable!("30 samples suffice");
            };
            apart += u32::from(estimate.low > 1.0 || estimate.high < 1.0);
            by_mean += u32::from((mean(&current) / mean(&before) - 1.0).abs() > 0.05);
        }
        assert!(apart <= 10, "{apart} false alarms in 1,000");
        assert!(by_mean > 200, "a comparison of means gave {by_mean}");
    }

    #[test]
    fn a_tenth_slower_is_caught() {
        let mut random = fastrand::Rng::with_seed(8);
        let caught = (0..1_000).filter(|_| {
            let (before, current) = (noisy(&mut random, 1.0), noisy(&mut random, 1.1));
            estimate(&before, &current).is_some_and(|estimate| estimate.low > 1.0)
        });
        let caught = caught.count();
        assert!(caught >= 950, "{caught} of 1,000");
    }

    #[test]
    fn few_samples_decide_nothing() {
        let samples = [1.0; MIN_SAMPLES];
        assert_eq!(estimate(&samples, &samples[1..]), None);
        let same = estimate(&samples, &samples).map(|estimate| (estimate.low, estimate.high));
        assert_eq!(same, Some((1.0, 1.0)));
    }
}

//! Sequences of keys, the same in each run.

use fastrand::Rng;

/// Draws keys by Zipf's law: the key of rank `r` comes up in proportion to `1 / r^exponent`.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=keys).map(|rank| {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 keys")]
            let weight = (rank as f64).powf(-exponent);
            sum += weight;
            sum
        });
        Self(weights.collect())
    }

    pub(crate) fn draw(&self, random: &mut Rng) -> u64 {
        let total = *self.0.last().expect("there are keys");
        let point = random.f64() * total;
        let rank = self.0.partition_point(|&sum| sum < point);
        rank as u64
    }

    /// What a cache of the `head` most frequent keys would hit.
    pub(crate) fn head_share(&self, head: usize) -> f64 {
        self.0[head - 1] / self.0[self.0.len() - 1]
    }
}

/// `requests` keys of a Zipf distribution.
pub(crate) fn zipf(keys: usize, exponent: f64, requests: usize) -> Vec<u64> {
    let zipf = Zipf::new(keys, exponent);
    let mut random = Rng::with_seed(7);
    (0..requests).map(|_| zipf.draw(&mut random)).collect()
}

/// Evenly distributed keys.
pub(crate) fn uniform(keys: u64, requests: usize) -> Vec<u64> {
    let mut random = Rng::with_seed(11);
    (0..requests).map(|_| random.u64(..keys)).collect()
}

/// A Zipf mix that is interrupted by scans over keys that never come again.
pub(crate) fn scans(requests: usize) -> Vec<u64> {
    let mut keys = zipf(20_000, 1.0, requests);
    let mut fresh = 1_000_000;
    for scan in keys.chunks_mut(20_000).filter(|chunk| chunk.len() > 5_000) {
        for key in &mut scan[..5_000] {
            *key = fresh;
            fresh += 1;
        }
    }
    keys
}

/// A Zipf mix whose favourites are others after every tenth of the requests.
pub(crate) fn shifting(requests: usize) -> Vec<u64> {
    let mut keys = zipf(20_000, 1.0, requests);
    for (shift, chunk) in keys.chunks_mut(requests / 10).enumerate() {
        for key in chunk {
            *key += shift as u64 * 5_000;
        }
    }
    keys
}

/// A Zipf mix and a loop somewhat larger than the cache, in turns.
pub(crate) fn looping(requests: usize) -> Vec<u64> {
    let mut keys = zipf(20_000, 1.0, requests);
    for (turn, chunk) in keys.chunks_mut(20_000).enumerate() {
        if turn % 2 == 1 {
            for (step, key) in chunk.iter_mut().enumerate() {
                *key = 1_000_000 + (step % 3_000) as u64;
            }
        }
    }
    keys
}

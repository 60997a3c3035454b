use crate::config::{is_measuring, is_quick};
use crate::line;
use criterion::Criterion;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The name of our own alternative, with which every other one is compared.
const OURS: &str = "perfkit";
/// Enough rounds for a median that a few disturbed ones cannot move.
const MIN_ROUNDS: usize = 7;

/// Alternatives that do the same work, timed in turns.
///
/// One of them is called `perfkit`, the others carry the name of their peer. Each must check its answer
/// itself, at the price of a comparison that both sides pay.
pub struct Comparison<'a> {
    id: &'static str,
    alternatives: Vec<Alternative<'a>>,
}

struct Alternative<'a> {
    name: &'static str,
    /// Runs that many iterations and says how long they took.
    run: Box<dyn FnMut(u64) -> Duration + 'a>,
    /// How many iterations fill a round.
    iterations: u64,
}

impl<'a> Comparison<'a> {
    /// A comparison named `crate/operation/workload`.
    #[must_use]
    pub const fn new(id: &'static str) -> Self {
        Self {
            id,
            alternatives: Vec::new(),
        }
    }

    /// Adds a function that is one iteration.
    pub fn add<R>(&mut self, name: &'static str, mut iteration: impl FnMut() -> R + 'a) {
        self.add_timed(name, move |iterations| {
            let start = Instant::now();
            for _ in 0..iterations {
                black_box(iteration());
            }
            start.elapsed()
        });
    }

    /// Adds a function that runs a given number of iterations and returns what they took together.
    ///
    /// For work whose preparation must not be timed, and for futures: block on a runtime once and loop
    /// inside.
    pub fn add_timed(&mut self, name: &'static str, run: impl FnMut(u64) -> Duration + 'a) {
        self.alternatives.push(Alternative {
            name,
            run: Box::new(run),
            iterations: 1,
        });
    }

    /// Lets criterion time each alternative, then times them in turns and records each peer's ratio.
    ///
    /// # Panics
    ///
    /// When no alternative is called `perfkit` or the report cannot be written.
    pub fn run(mut self, criterion: &mut Criterion) {
        let is_wanted = self.run_criterion(criterion);
        if is_wanted && is_measuring() {
            self.record();
        }
    }

    /// Returns whether criterion's filter let our alternative through.
    fn run_criterion(&mut self, criterion: &mut Criterion) -> bool {
        let mut is_wanted = false;
        let mut group = criterion.benchmark_group(self.id);
        for alternative in &mut self.alternatives {
            group.bench_function(alternative.name, |bencher| {
                is_wanted |= alternative.name == OURS;
                bencher.iter_custom(&mut alternative.run);
            });
        }
        group.finish();
        is_wanted
    }

    fn record(&mut self) {
        let limits = Limits::new();
        for alternative in &mut self.alternatives {
            alternative.calibrate(limits.round);
        }
        let rounds = self.rounds(&limits);
        let ours = self.index_of_ours();
        for (index, alternative) in self.alternatives.iter().enumerate() {
            if index == ours {
                continue;
            }
            line::write(
                &format!("{}/{}", self.id, alternative.name),
                median(rounds.iter().map(|round| round[ours]).collect()),
                median(rounds.iter().map(|round| round[index]).collect()),
                median(
                    rounds
                        .iter()
                        .map(|round| round[ours] / round[index])
                        .collect(),
                ),
                "ns",
            );
        }
    }

    /// Each alternative's nanoseconds an iteration, round by round.
    ///
    /// A different alternative begins each round, so none always runs in the warm cache of the same
    /// neighbour.
    fn rounds(&mut self, limits: &Limits) -> Vec<Vec<f64>> {
        let start = Instant::now();
        let mut rounds = Vec::new();
        while rounds.len() < limits.rounds
            && (rounds.len() < MIN_ROUNDS || start.elapsed() < limits.total)
        {
            let mut round = vec![0.0; self.alternatives.len()];
            for turn in 0..round.len() {
                let index = (turn + rounds.len()) % round.len();
                round[index] = self.alternatives[index].nanos_per_iteration();
            }
            rounds.push(round);
        }
        rounds
    }

    fn index_of_ours(&self) -> usize {
        self.alternatives
            .iter()
            .position(|alternative| alternative.name == OURS)
            .unwrap_or_else(|| panic!("{}: no alternative is called {OURS}", self.id))
    }
}

impl Alternative<'_> {
    /// Doubles the iterations until they fill a round.
    fn calibrate(&mut self, round: Duration) {
        while (self.run)(self.iterations) < round && self.iterations < u64::MAX / 2 {
            self.iterations *= 2;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 iterations")]
    fn nanos_per_iteration(&mut self) -> f64 {
        (self.run)(self.iterations).as_secs_f64() * 1e9 / self.iterations as f64
    }
}

/// How long the rounds of a comparison take.
struct Limits {
    /// What one alternative's turn takes at least.
    round: Duration,
    rounds: usize,
    /// No round begins later, except the first [`MIN_ROUNDS`].
    total: Duration,
}

impl Limits {
    fn new() -> Self {
        if is_quick() {
            Self {
                round: Duration::from_millis(4),
                rounds: 51,
                total: Duration::from_secs(4),
            }
        } else {
            Self {
                round: Duration::from_millis(8),
                rounds: 201,
                total: Duration::from_secs(20),
            }
        }
    }
}

/// The middle of a non-empty list, the upper one of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disturbed_round_does_not_move_the_median() {
        assert_eq!(
            median(vec![1.0, 900.0, 1.1, 1.2, 0.9]).to_bits(),
            1.1_f64.to_bits()
        );
    }

    #[test]
    fn alternatives_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let turn = |letter: char| {
            let order = &order;
            move |iterations: u64| {
                order.borrow_mut().push(letter);
                Duration::from_nanos(iterations)
            }
        };
        let mut comparison = Comparison::new("demo/order/two");
        comparison.add_timed(OURS, turn('o'));
        comparison.add_timed("peer", turn('p'));
        let limits = Limits {
            round: Duration::ZERO,
            rounds: 4,
            total: Duration::MAX,
        };
        assert_eq!(comparison.rounds(&limits), vec![vec![1.0, 1.0]; 4]);
        drop(comparison);
        assert_eq!(order.into_inner(), "oppooppo");
    }

    #[test]
    fn calibration_fills_a_round() {
        let mut comparison = Comparison::new("demo/calibration/one");
        comparison.add_timed(OURS, |iterations| Duration::from_micros(3 * iterations));
        comparison.alternatives[0].calibrate(Duration::from_micros(100));
        assert_eq!(comparison.alternatives[0].iterations, 64);
    }
}

//! How every benchmark compares Perfkit with a peer and hands the result to `cargo xtask bench`.
//!
//! Three ways lead into the report, all under ids of the form `crate/operation/workload/peer`:
//!
//! - [`Comparison`]: the normal one, for anything that can be repeated in a loop. Alternatives take
//!   turns in short rounds, and the ratio is the median over rounds. What disturbs a shared machine
//!   lasts longer than a round, so it hits both sides of a ratio and cancels out; two criterion
//!   functions that run one after the other have no such protection.
//! - A plain criterion group named `crate/operation/workload` with a function `perfkit` and one
//!   function a peer.
//! - [`record`] and [`record_rate`]: for what criterion cannot time, such as bytes, allocations,
//!   lost updates or a percentile under load.
//!
//! ```no_run
//! use harness::Comparison;
//!
//! fn sum(criterion: &mut criterion::Criterion) {
//!     let numbers = [1_u64, 2, 3];
//!     let mut comparison = Comparison::new("demo/sum/three");
//!     comparison.add("perfkit", || assert_eq!(numbers.iter().sum::<u64>(), 6));
//!     comparison.add("fold", || assert_eq!(numbers.iter().fold(0, |a, b| a + b), 6));
//!     comparison.run(criterion);
//! }
//!
//! criterion::criterion_group!(name = benches; config = harness::criterion(); targets = sum);
//! criterion::criterion_main!(benches);
//! ```

mod comparison;
mod config;
mod line;

pub use comparison::Comparison;
pub use config::{criterion, is_quick, is_wanted};
pub use line::{record, record_rate};

//! What only large numbers show. `PERF_SOAK_CASES` sets how many; the default is small.

mod breaker;
mod keyed;
mod limiter;
mod reference;

pub(crate) fn cases(default: u32) -> u32 {
    let cases = std::env::var("PERF_SOAK_CASES").ok();
    cases.map_or(default, |cases| {
        cases.parse().expect("PERF_SOAK_CASES is a number")
    })
}

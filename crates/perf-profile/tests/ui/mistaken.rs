//! A mistake in a profiled function is reported where it is, as if the attribute were not there.

use perf_profile::profile;

#[profile]
fn plain() -> u8 {
    "seven" //~ ERROR mismatched types
}

#[profile(lines)]
fn lined(numbers: &[u8]) -> u8 {
    let mut sum = 0_u8;
    for number in numbers {
        sum += "seven"; //~ ERROR cannot add-assign `&str` to `u8`
    }
    missing //~ ERROR cannot find value `missing` in this scope
}

#[profile]
async fn awaited() -> u8 {
    "seven" //~ ERROR mismatched types
}

#[profile(lines)] //~ ERROR `u8` is not a future
async fn lined_and_awaited() -> Result<u8, String> {
    let seven = 7_u8.await; //~ ERROR `u8` is not a future
    Ok(seven)
}

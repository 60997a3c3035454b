//! What `#[profile]` takes without a warning, in a crate that forbids all of them.

#![deny(warnings, unused, unsafe_op_in_unsafe_fn)]

use perf_profile::profile;
use std::fmt::Display;
use std::future::Future;

#[profile]
pub fn generic<T: Display, const N: usize>(values: [T; N]) -> String
where
    T: Clone,
{
    values.iter().map(ToString::to_string).collect()
}

#[profile(lines)]
pub fn borrowed<'a>(left: &'a str, _right: &str) -> &'a str {
    let Some(first) = left.split(' ').next() else {
        return left;
    };
    first
}

#[profile(name = "opaque")]
pub fn opaque(numbers: impl IntoIterator<Item = u8>) -> impl Iterator<Item = u8> {
    numbers.into_iter().map(|number| number + 1)
}

#[profile(lines)]
pub fn labelled(limit: u32) -> u32 {
    let mut found = 0;
    'outer: for left in 0..limit {
        for right in 0.. {
            match left * right {
                0 => continue,
                7 => break 'outer,
                product if product > limit => continue 'outer,
                product => found += product,
            }
        }
    }
    loop {
        if found > 3 {
            break found;
        }
        found += 1;
    }
}

#[profile]
pub async fn questioned(text: &str) -> Result<u8, std::num::ParseIntError> {
    let number: u8 = text.parse()?;
    Ok(number)
}

#[profile(lines)]
pub async fn joined<F: Future<Output = u8>>(first: F, second: F) -> u8 {
    let first = first.await;
    first + second.await
}

#[profile]
pub async fn returns_opaque() -> impl Display {
    7
}

#[profile]
pub async fn never() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

#[profile]
pub extern "C" fn foreign(number: u8) -> u8 {
    number
}

/// # Safety
///
/// `number` can be read.
#[profile]
pub unsafe fn dangerous(number: *const u8) -> u8 {
    // SAFETY: the caller says so.
    unsafe { *number }
}

pub struct Counter(u32);

pub trait Count {
    fn count(&mut self) -> u32;
    fn into_count(self) -> u32;
}

impl Count for Counter {
    #[profile(name = "counting")]
    fn count(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }

    #[profile(lines)]
    fn into_count(mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

#[profile]
impl Counter {
    pub const START: u32 = 0;

    pub const fn new() -> Self {
        Self(Self::START)
    }

    pub fn add(&mut self, number: u32) {
        self.0 += number;
    }

    #[profile(skip)]
    pub fn skipped(&self) -> u32 {
        self.0
    }

    #[profile(lines)]
    pub async fn wait(&self) -> u32 {
        std::future::ready(self.0).await
    }
}

#[profile(lines)]
impl<'a> From<&'a str> for Counter {
    fn from(text: &'a str) -> Self {
        let length = text.len();
        Self(u32::try_from(length).unwrap_or(u32::MAX))
    }
}

impl Default for Counter {
    #[profile]
    fn default() -> Self {
        Self::new()
    }
}

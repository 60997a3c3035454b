//! Which statement of a function takes its time, and how often does each run?
//!
//! `cargo run --example profile_lines`

use perfkit::profile::{Profiler, profile};
use std::collections::BTreeMap;

#[profile(lines, crate = ::perfkit::profile)]
fn frequencies(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        let word = word.to_lowercase();
        if word.len() < 4 {
            continue;
        }
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn main() -> anyhow::Result<()> {
    let profiler = Profiler::builder().build();
    let text =
        "What is measured gets better, and what gets better gets measured again. ".repeat(1_000);
    println!("{} words\n", frequencies(&text).len());

    let snapshot = profiler.snapshot();
    println!("{snapshot}");
    let lines = &snapshot.lines()[0].lines;
    let hits = |text: &str| {
        lines
            .iter()
            .find(|line| line.text == text)
            .map(|line| line.hits)
    };
    anyhow::ensure!(hits("let word = word.to_lowercase();") == Some(12_000));
    anyhow::ensure!(hits("continue;") == Some(2_000));
    Ok(())
}

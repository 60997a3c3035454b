//! How are parsers and their buffers used again by many threads?
//!
//! An `ObjectPool` keeps them: taking one is a few instructions, never waits, and what a thread returns
//! keeps its memory for the next.

use anyhow::{Result, ensure};
use perfkit::pool::ObjectPool;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Splits lines into fields, in a buffer that it keeps.
#[derive(Default)]
struct Parser {
    fields: Vec<String>,
}

impl Parser {
    fn parse(&mut self, line: &str) -> usize {
        self.fields.extend(line.split(',').map(str::to_owned));
        self.fields.len()
    }
}

fn main() -> Result<()> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let parsers = ObjectPool::new(16, || {
        MADE.fetch_add(1, Ordering::Relaxed);
        Parser::default()
    })
    .with_reset(|parser| parser.fields.clear());

    let fields = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let count = parsers.take().parse("EWR,IAH,UA,1545");
                    fields.fetch_add(count, Ordering::Relaxed);
                }
            });
        }
    });
    let (fields, made) = (fields.into_inner(), MADE.load(Ordering::Relaxed));
    ensure!(fields == 160_000, "a parser was returned dirty");
    println!(
        "{fields} fields in 40,000 lines by {made} parsers, {} of them kept",
        parsers.kept()
    );
    Ok(())
}

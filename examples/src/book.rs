//! The code of the book's chapters that belong to no crate, as doc tests.

#[doc = include_str!("../../docs/guide/start.md")]
struct Start;

#[doc = include_str!("../../docs/guide/anti-patterns.md")]
struct AntiPatterns;

#[doc = include_str!("../../docs/guide/migration.md")]
struct Migration;

//! The code of the chapters whose crates do not compile it themselves, as doc tests.

#[doc = include_str!("../../docs/guide/start.md")]
struct Start;

#[doc = include_str!("../../docs/guide/anti-patterns.md")]
struct AntiPatterns;

#[doc = include_str!("../../docs/guide/migration.md")]
struct Migration;

#[doc = include_str!("../../docs/guide/bulk.md")]
struct Bulk;

#[doc = include_str!("../../docs/guide/cache.md")]
struct Cache;

#[doc = include_str!("../../docs/guide/pool.md")]
struct Pool;

#[doc = include_str!("../../docs/guide/profile.md")]
struct Profile;

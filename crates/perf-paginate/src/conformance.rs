//! The suite that every source must pass.
//!
//! Random rows with many NULLs and ties, random sorts, filters and page sizes, walked forward, backward,
//! to and fro, as a stream and by offset: what a source shows must be what sorting and filtering the
//! rows in memory shows, page by page, `has_next` and `has_prev` included. A case that fails is made
//! smaller before it is reported.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), String> {
//! use perf_paginate::SliceSource;
//! use perf_paginate::conformance::{self, Row};
//!
//! let load = async |rows: &[Row], schema| SliceSource::new(schema, rows.to_vec());
//! conformance::walks(8, "rows", Row::clone, load).await
//! # }
//! ```

mod case;
mod oracle;
mod walk;

use crate::schema::{Field, Schema};
use crate::source::PageSource;
use case::Case;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A row of the suite's table.
///
/// Text must be ordered by its bytes: a column's collation is `"C"` on PostgreSQL and
/// `utf8mb4_nopad_bin` on MariaDB.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a user's table has exactly these columns"
)]
pub struct Row {
    /// Unique.
    pub id: i64,
    /// A number or NULL.
    pub a: Option<i64>,
    /// Text or NULL.
    pub b: Option<String>,
    /// A number of the full range.
    pub c: i64,
    /// A truth value.
    pub d: bool,
}

/// Walks `cases` random cases over a source.
///
/// `load` replaces the rows of `table` and opens a source on it with the schema it is given; `read` tells
/// the row that an item shows.
///
/// # Errors
///
/// The smallest case found that fails, and how.
///
/// # Cancel safety
///
/// Dropping the future ends the suite within a case, whose rows stay loaded.
pub async fn walks<S: PageSource>(
    cases: u32,
    table: &'static str,
    read: impl Fn(&S::Item) -> Row + Clone + Send + Sync + 'static,
    load: impl AsyncFn(&[Row], Schema<S::Item>) -> S,
) -> Result<(), String> {
    // Seeded, so that a failure comes again.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let attempt = async |case: &Case| {
        let source = load(&case.rows, schema(table, case.key, read.clone())).await;
        walk::check(source, case, &read).await
    };
    for _ in 0..cases {
        let mut tree = case::any()
            .new_tree(&mut runner)
            .map_err(|reason| reason.to_string())?;
        let mut failed = None;
        // Halve towards the smallest case that still fails.
        loop {
            let case = tree.current();
            let another = match attempt(&case).await {
                Err(reason) => {
                    failed = Some(format!("{reason}\nin {case:#?}"));
                    tree.simplify()
                }
                Ok(()) => failed.is_some() && tree.complicate(),
            };
            if !another {
                break;
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
    }
    Ok(())
}

fn schema<T>(
    table: &'static str,
    key: &[&'static str],
    read: impl Fn(&T) -> Row + Clone + Send + Sync + 'static,
) -> Schema<T> {
    let (id, a, b, c, d) = (read.clone(), read.clone(), read.clone(), read.clone(), read);
    Schema::builder(table)
        .field(
            Field::new("id", move |item| id(item).id)
                .sortable()
                .filterable(),
        )
        .field(
            Field::new("a", move |item| a(item).a)
                .sortable()
                .filterable(),
        )
        .field(
            Field::new("b", move |item| b(item).b)
                .sortable()
                .filterable(),
        )
        .field(
            Field::new("c", move |item| c(item).c)
                .sortable()
                .filterable(),
        )
        .field(
            Field::new("d", move |item| d(item).d)
                .sortable()
                .filterable(),
        )
        .key(key.iter().copied())
        .build()
        .expect("the suite's own declaration does not contradict itself")
}

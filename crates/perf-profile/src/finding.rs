use crate::rules::Rule;
use crate::sql::Fingerprint;
use std::fmt;
use std::time::Duration;

/// Something to improve, with its evidence and its cure.
///
/// `Display` writes it as a paragraph for people.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub rule: Rule,
    /// The name of the requests that it was found in.
    pub request: String,
    /// How many of them showed it.
    pub requests: u64,
    /// The statement concerned.
    pub fingerprint: Fingerprint,
    /// Its text without values.
    pub statement: String,
    /// How often one request ran it, at most.
    pub repeats: u64,
    /// How many rows one request got from it, at most.
    pub rows: u64,
    /// How long its executions took, over all requests.
    pub time: Duration,
    /// The innermost profiled function that ran it. sqlx's events of SQLite come from another thread and
    /// do not tell; an executor of the profiler does.
    pub function: Option<&'static str>,
    /// The query whose rows were looped over.
    pub cause: Option<Cause>,
}

/// The query that a loop of lookups went over.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Cause {
    /// What identifies it.
    pub fingerprint: Fingerprint,
    /// Its text without values.
    pub statement: String,
    /// How many rows it returned in one request.
    pub rows: u64,
}

/// What to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Cure {
    /// The type or function that cures it: `"perf_bulk::BatchLoader"`.
    pub item: &'static str,
    /// What it does about it.
    pub effect: &'static str,
}

impl Finding {
    /// What to write instead.
    #[must_use]
    pub const fn cure(&self) -> Cure {
        let (item, effect) = match self.rule {
            Rule::NPlusOne => (
                "perf_bulk::BatchLoader",
                "gathers the lookups that run together into one query with a list of keys",
            ),
            Rule::RowWiseInsert => ("perf_bulk::BulkInsert", "writes many rows in one statement"),
            Rule::PoolWait => (
                "perf_pool::Pool",
                "bounds every wait, and its status says who holds what",
            ),
            Rule::IdenticalReads => (
                "perf_cache::Cache",
                "reads once, and again when it has changed",
            ),
            Rule::OffsetWalk => (
                "perf_paginate::Paginator",
                "seeks to each page by an index, at the same cost at any depth",
            ),
            Rule::MissingLimit => ("perf_paginate::Paginator", "returns page after page"),
            Rule::SelectStar => (
                "a list of columns",
                "reads what is used, and can be answered by an index",
            ),
        };
        Cure { item, effect }
    }

    /// What its executions took beyond those that stay when it is cured: an estimate, from above.
    #[must_use]
    pub fn avoidable_time(&self) -> Duration {
        match self.rule {
            Rule::NPlusOne | Rule::RowWiseInsert | Rule::IdenticalReads | Rule::OffsetWalk => {
                let repeats = self.repeats.max(1) as f64;
                self.time.mul_f64((repeats - 1.0) / repeats)
            }
            Rule::PoolWait => self.time,
            Rule::MissingLimit | Rule::SelectStar => Duration::ZERO,
        }
    }

    /// What it is, and in which requests.
    pub(crate) fn subject(&self) -> String {
        format!("{} in \"{}\"", self.title(), self.request)
    }

    fn title(&self) -> &'static str {
        match self.rule {
            Rule::NPlusOne => "N+1 queries",
            Rule::RowWiseInsert => "Rows inserted one by one",
            Rule::PoolWait => "Waits for a connection",
            Rule::IdenticalReads => "The same read over and over",
            Rule::OffsetWalk => "Pages by OFFSET",
            Rule::MissingLimit => "A long list without LIMIT",
            Rule::SelectStar => "SELECT *",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            requests,
            repeats,
            rows,
            ..
        } = self;
        let plural = if *requests == 1 {
            "request"
        } else {
            "requests"
        };
        writeln!(f, "{} in \"{request}\" ({requests} {plural})", self.title())?;
        writeln!(
            f,
            "  query   {repeats} x {} [{}]",
            self.statement, self.fingerprint
        )?;
        if let Some(function) = self.function {
            writeln!(f, "  place   {function}")?;
        }
        if let Some(cause) = &self.cause {
            writeln!(
                f,
                "  cause   {} rows of {} [{}]",
                cause.rows, cause.statement, cause.fingerprint
            )?;
        }
        write!(f, "  cost    {:.1?}, {rows} rows", self.time)?;
        let saved = repeats.saturating_sub(1);
        if saved > 0 {
            write!(f, "; {saved} of {repeats} round trips are avoidable")?;
        }
        let cure = self.cure();
        write!(f, "\n  cure    {}: {}", cure.item, cure.effect)
    }
}

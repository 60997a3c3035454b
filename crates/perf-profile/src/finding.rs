use crate::sql::Fingerprint;
use std::fmt;
use std::time::Duration;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// One query for a list, then one more for each of its rows.
    NPlusOne,
}

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
    /// How long its executions took, over all requests.
    pub time: Duration,
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
        match self.rule {
            Rule::NPlusOne => Cure {
                item: "perf_bulk::BatchLoader",
                effect: "gathers the lookups that run together into one query with a list of keys",
            },
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            requests,
            repeats,
            ..
        } = self;
        let plural = if *requests == 1 {
            "request"
        } else {
            "requests"
        };
        writeln!(f, "N+1 queries in \"{request}\" ({requests} {plural})")?;
        writeln!(
            f,
            "  query   {repeats} x {} [{}]",
            self.statement, self.fingerprint
        )?;
        if let Some(cause) = &self.cause {
            writeln!(
                f,
                "  cause   {} rows of {} [{}]",
                cause.rows, cause.statement, cause.fingerprint
            )?;
        }
        let saved = repeats.saturating_sub(1);
        writeln!(
            f,
            "  cost    {:.1?}; {saved} of {repeats} round trips are avoidable",
            self.time
        )?;
        let cure = self.cure();
        write!(f, "  cure    {}: {}", cure.item, cure.effect)
    }
}

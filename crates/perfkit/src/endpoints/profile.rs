use super::actions::Operable;
use super::report::{Frame, Problem, Query, Report, Route, Source};
use super::{Endpoints, EndpointsBuilder};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use perf_core::Inspect;
use perf_profile::{
    Advice, Advisor, Finding, ProfileError, Profiler, QueryStats, RequestStats, Rule,
};
use std::sync::Arc;

/// How many readings are asked about at a time.
const ASKED: usize = 20;

impl EndpointsBuilder {
    /// Shows the profiler's routes, queries, findings and call paths, and lets those who may act have it forget them.
    ///
    /// ```
    /// use perfkit::core::Registry;
    /// use perfkit::endpoints::Endpoints;
    /// use perfkit::profile::Profiler;
    ///
    /// let profiler = Profiler::builder().build();
    /// let endpoints = Endpoints::builder(&Registry::new()).profiler(&profiler).build();
    /// ```
    pub fn profiler(mut self, profiler: &Profiler) -> Self {
        self.source = Some(Arc::new(profiler.clone()));
        self.operables.push(Arc::new(profiler.clone()));
        self
    }
}

impl Endpoints {
    /// Asks `advisor` about the 20 reading queries that took longest in total, and shows the indexes that would serve
    /// them among the findings, in place of what was shown before. Returns how many queries lack one; those
    /// that the planner cannot judge without their values are left out.
    ///
    /// Planning costs the database something: once every few minutes is enough.
    ///
    /// # Cancel safety
    ///
    /// What was shown before stays.
    pub async fn advise(&self, advisor: &Advisor) -> usize {
        let queries = match &self.shared.source {
            Some(source) => source.report().queries,
            None => Vec::new(),
        };
        let (mut asked, mut found) = (0, Vec::new());
        for query in queries {
            if asked == ASKED {
                break;
            }
            // Some databases number their placeholders.
            let advice = match advisor.advise(&query.text).await {
                Err(_) => advisor.advise(&numbered(&query.text)).await,
                known => known,
            };
            // What writes, or changes a schema, is no question.
            asked += usize::from(!matches!(
                advice,
                Err(ProfileError::UnsupportedStatement { .. })
            ));
            if let Ok(Some(advice)) = advice {
                found.push(missing_index(query, &advice));
            }
        }
        let count = found.len();
        *self.shared.advice.lock() = found;
        count
    }
}

impl Operable for Profiler {
    fn kind(&self) -> &'static str {
        Inspect::kind(self)
    }

    fn name(&self) -> String {
        Inspect::name(self).into_owned()
    }

    fn actions(&self) -> &'static [&'static str] {
        &["reset"]
    }

    fn perform<'a>(&'a self, _: &'a str, _: Option<&'a str>) -> BoxFuture<'a, Result<(), String>> {
        self.forget();
        ready(Ok(())).boxed()
    }
}

impl Source for Profiler {
    fn report(&self) -> Report {
        let snapshot = self.snapshot();
        Report {
            routes: snapshot.requests().iter().map(route).collect(),
            queries: snapshot.queries().iter().map(query).collect(),
            findings: snapshot.findings().iter().map(problem).collect(),
        }
    }

    fn frames(&self) -> Vec<Frame> {
        let snapshot = self.snapshot();
        let frame = |path: &perf_profile::CallPath| Frame {
            name: path.name,
            parent: path.parent,
            calls: path.calls,
            own: path.own.as_secs_f64(),
        };
        snapshot.call_paths().iter().map(frame).collect()
    }
}

fn route(stats: &RequestStats) -> Route {
    Route {
        name: stats.name.clone(),
        requests: stats.requests,
        queries: stats.queries,
        max_queries: stats.max_queries,
        latency: (&stats.latency).into(),
        distribution: stats.distribution.clone(),
    }
}

fn query(stats: &QueryStats) -> Query {
    Query {
        text: stats.text.clone(),
        count: stats.count,
        rows: stats.rows_returned + stats.rows_affected,
        errors: stats.errors,
        latency: (&stats.latency).into(),
    }
}

fn problem(finding: &Finding) -> Problem {
    let cure = finding.cure();
    Problem {
        rule: rule(finding.rule),
        route: finding.request.clone(),
        requests: finding.requests,
        repeats: finding.repeats,
        rows: finding.rows,
        seconds: finding.time.as_secs_f64(),
        avoidable_seconds: finding.avoidable_time().as_secs_f64(),
        statement: finding.statement.clone(),
        cause: finding.cause.as_ref().map(|cause| cause.statement.clone()),
        function: finding.function,
        cure: format!("{} {}", cure.item, cure.effect),
    }
}

/// The text with `$1`, `$2`, … for its question marks, of which a profiler's text has none but placeholders.
fn numbered(text: &str) -> String {
    let mut pieces = text.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (1..).zip(pieces) {
        numbered += &format!("${number}{piece}");
    }
    numbered
}

fn missing_index(query: Query, advice: &Advice) -> Problem {
    let now: Vec<_> = advice
        .before
        .findings()
        .iter()
        .map(ToString::to_string)
        .collect();
    Problem {
        rule: "Missing index",
        route: now.join(", "),
        requests: query.count,
        repeats: 1,
        rows: query.rows,
        seconds: query.latency.total,
        avoidable_seconds: 0.0,
        statement: query.text,
        cause: None,
        function: None,
        cure: advice.ddl().join("; "),
    }
}

const fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::NPlusOne => "N+1 queries",
        Rule::RowWiseInsert => "Row-wise insert",
        Rule::PoolWait => "Pool wait",
        Rule::IdenticalReads => "Identical reads",
        Rule::OffsetWalk => "Deep offset",
        Rule::MissingLimit => "Missing limit",
        Rule::SelectStar => "Unused columns",
        _ => "Finding",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_from_left_to_right() {
        let text = "SELECT a FROM t WHERE b = ? AND c IN (?)";
        assert_eq!(numbered(text), "SELECT a FROM t WHERE b = $1 AND c IN ($2)");
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
    }
}

use super::EndpointsBuilder;
use super::report::{Frame, Problem, Query, Report, Route, Source};
use perf_profile::{Finding, Profiler, QueryStats, RequestStats, Rule};
use std::sync::Arc;

impl EndpointsBuilder {
    /// Shows the profiler's routes, queries, findings and call paths.
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
        self
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
        title: finding
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
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

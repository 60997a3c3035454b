use crate::cli::HttpArguments;
use crate::failure::Failure;
use crate::output::{self, LoadOutcome};
use crate::progress;
use bytes::Bytes;
use http::Request;
use perf_profile::{HttpTarget, LoadReport, LoadTest, Stages, StressTest};
use std::num::NonZeroUsize;
use std::time::Duration;

/// The seed of random arrivals: every run of every program sends the same.
const SEED: u64 = 1;

pub(crate) async fn run(arguments: &HttpArguments) -> Result<(), Failure> {
    let target = target(arguments)?;
    if let Some(rate) = arguments.stress {
        return stress(arguments, rate, target).await;
    }
    arguments.baseline.check().await?;
    let (test, total) = test(arguments)?;
    let test = test.warm_up(arguments.warm_up).timeout(arguments.timeout);
    let default = if arguments.baseline.is_used() { 10 } else { 1 };
    let runs = arguments.runs.map_or(default, NonZeroUsize::get);
    let mut reports: Vec<LoadReport> = Vec::new();
    for run in 0..runs {
        let test = if arguments.random {
            test.clone().random_arrivals(SEED + run as u64)
        } else {
            test.clone()
        };
        let title = format!("{} run {} of {runs}", arguments.url, run + 1);
        let run = test.run(target.clone());
        reports.push(progress::during(&title, total + arguments.warm_up, run).await?);
    }
    let comparison = arguments.baseline.settle(&reports).await?;
    let failed: Vec<_> = arguments
        .assertions
        .iter()
        .filter(|assertion| !reports.iter().all(|report| assertion.holds(report)))
        .collect();
    let outcome = LoadOutcome {
        target: format!("{} {}", arguments.method, arguments.url),
        reports: &reports,
        comparison: comparison.as_ref(),
        failed_assertions: failed.iter().map(ToString::to_string).collect(),
    };
    output::write(&arguments.output, &outcome)?;
    if let Some(assertion) = failed.first() {
        return Err(Failure::Verdict(format!("{assertion} does not hold")));
    }
    arguments.baseline.verdict(comparison.as_ref())
}

fn target(arguments: &HttpArguments) -> Result<HttpTarget, Failure> {
    let mut request = Request::new(Bytes::from(arguments.body.clone()));
    *request.method_mut() = arguments.method.clone();
    *request.uri_mut() = arguments.url.clone();
    request
        .headers_mut()
        .extend(arguments.headers.iter().cloned());
    HttpTarget::request(request)
        .map_err(|error| Failure::Usage(format!("{}: {error}", arguments.url)))
}

/// The load that was asked for, and how long it takes. Without any: ten users.
fn test(arguments: &HttpArguments) -> Result<(LoadTest, Duration), Failure> {
    let stages = match (&arguments.stages[..], arguments.rate) {
        ([(first, duration), later @ ..], _) => {
            let start = Stages::at(*first).hold(*duration);
            Some(later.iter().fold(start, |stages, (rate, duration)| {
                stages.ramp_to(*rate, *duration)
            }))
        }
        ([], Some(rate)) => Some(Stages::at(rate).hold(arguments.duration)),
        ([], None) => None,
    };
    if let Some(stages) = stages {
        return Ok((LoadTest::open(&stages)?, stages.duration()));
    }
    let ten = NonZeroUsize::new(10).unwrap_or(NonZeroUsize::MIN);
    let test = LoadTest::closed(arguments.users.unwrap_or(ten), arguments.duration)?;
    Ok((test, arguments.duration))
}

async fn stress(arguments: &HttpArguments, rate: f64, target: HttpTarget) -> Result<(), Failure> {
    let test = StressTest::new(rate, arguments.factor)?;
    let test = test.hold(arguments.duration).max_p99(arguments.max_p99);
    let title = format!("{} until it no longer keeps up", arguments.url);
    let report = progress::during(&title, arguments.duration * 10, test.run(target)).await?;
    output::write(&arguments.output, &report)
}

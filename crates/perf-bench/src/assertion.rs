use perf_profile::LoadReport;
use std::fmt;
use std::str::FromStr;

/// What a report must be: `p99<500ms`, `errors<=1%`, `rate>1000`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assertion {
    text: String,
    figure: Figure,
    above: bool,
    inclusive: bool,
    /// Seconds, a share of 1, or requests a second.
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    Latency(f64),
    Errors,
    Rate,
}

impl Assertion {
    /// Whether it holds.
    pub(crate) fn holds(&self, report: &LoadReport) -> bool {
        let value = match self.figure {
            Figure::Latency(quantile) => report.latency.quantile(quantile).as_secs_f64(),
            Figure::Errors => report.error_rate(),
            Figure::Rate => report.throughput(),
        };
        let beyond = if self.above {
            value > self.limit
        } else {
            value < self.limit
        };
        beyond || (self.inclusive && value == self.limit)
    }
}

impl FromStr for Assertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text
            .find(['<', '>'])
            .ok_or("an assertion has a '<' or '>': p99<500ms")?;
        let (figure, rest) = text.split_at(at);
        let above = rest.starts_with('>');
        let inclusive = rest[1..].starts_with('=');
        let limit = rest[1..].trim_start_matches('=').trim();
        let figure = match figure.trim() {
            "p50" => Figure::Latency(0.5),
            "p95" => Figure::Latency(0.95),
            "p99" => Figure::Latency(0.99),
            "p999" => Figure::Latency(0.999),
            "max" => Figure::Latency(1.0),
            "errors" => Figure::Errors,
            "rate" => Figure::Rate,
            other => {
                return Err(format!(
                    "{other:?} is none of p50, p95, p99, p999, max, errors, rate"
                ));
            }
        };
        Ok(Self {
            text: text.into(),
            figure,
            above,
            inclusive,
            limit: figure.limit(limit)?,
        })
    }
}

impl Figure {
    fn limit(self, text: &str) -> Result<f64, String> {
        let number = |text: &str| {
            text.parse::<f64>()
                .map_err(|_error| format!("{text:?} is no number"))
        };
        match self {
            Self::Latency(_) => {
                let duration = humantime::parse_duration(text)
                    .map_err(|error| format!("{text:?}: {error}"))?;
                Ok(duration.as_secs_f64())
            }
            Self::Errors => match text.strip_suffix('%') {
                Some(percent) => number(percent.trim()).map(|percent| percent / 100.0),
                None => number(text),
            },
            Self::Rate => number(text),
        }
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_have_figure_sign_and_unit() {
        let limit = |text: &str| text.parse::<Assertion>().map(|assertion| assertion.limit);
        assert_eq!(limit("p99<500ms"), Ok(0.5));
        assert_eq!(limit("max <= 2s"), Ok(2.0));
        assert_eq!(limit("errors<1%"), Ok(0.01));
        assert_eq!(limit("errors<=0.05"), Ok(0.05));
        assert_eq!(limit("rate>1000"), Ok(1_000.0));
        for nonsense in [
            "",
            "p99",
            "p98<1s",
            "p99<1",
            "p99<",
            "errors<x",
            "rate>fast",
            "<1s",
        ] {
            assert!(limit(nonsense).is_err(), "{nonsense}");
        }
    }
}

//! Which of two formats a scraper would rather have.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// The format that the values of `Accept` prefer. OpenMetrics is for those who name it.
    pub(in super::super) fn preferred<'v>(accepted: impl Iterator<Item = &'v str>) -> Self {
        let (mut open_metrics, mut text) = (0.0_f64, 0.0_f64);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(quality).unwrap_or(1.0);
            match media.as_str() {
                "application/openmetrics-text" => open_metrics = open_metrics.max(quality),
                "text/plain" | "text/*" | "*/*" => text = text.max(quality),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(in super::super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

fn quality(parameter: &str) -> Option<f64> {
    let (name, value) = parameter.split_once('=')?;
    name.trim()
        .eq_ignore_ascii_case("q")
        .then(|| value.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_openmetrics_first_gets_it() {
        let preferred = |accept: &'static str| Format::preferred([accept].into_iter());
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2";
        assert_eq!(preferred(prometheus_3), Format::OpenMetrics);
        for accept in [
            "",
            "*/*",
            "text/html,*/*;q=0.1",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2, text/plain",
            "application/openmetrics-text;q=x",
        ] {
            assert_eq!(preferred(accept), Format::Prometheus, "{accept}");
        }
        assert_eq!(Format::preferred(std::iter::empty()), Format::Prometheus);
    }
}

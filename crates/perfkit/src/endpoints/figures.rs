//! One part's samples as JSON: `{"hits": 3, "resources": {"idle": 2}, "wait_seconds": {"p99": 0.01, …}}`.

use perf_core::{Sample, Summary, Value};
use serde_json::{Map, Number, json};

type Json = serde_json::Value;

/// The samples by name; those that a label tells apart, by its values below.
pub(super) fn figures(samples: &[Sample]) -> Map<String, Json> {
    let mut figures = Map::new();
    for sample in samples {
        let value = figure(&sample.value);
        let Some((_, label)) = &sample.label else {
            figures.insert(sample.name.into(), value);
            continue;
        };
        let labelled = figures.entry(sample.name).or_insert_with(|| json!({}));
        if let Json::Object(labelled) = labelled {
            labelled.insert(label.clone().into_owned(), value);
        }
    }
    figures
}

fn figure(value: &Value) -> Json {
    match value {
        Value::Counter(count) => (*count).into(),
        Value::Gauge(gauge) => Number::from_f64(*gauge).map_or(Json::Null, Json::Number),
        Value::Histogram(summary) => distribution(summary),
        _ => Json::Null,
    }
}

/// A distribution in seconds.
fn distribution(summary: &Summary) -> Json {
    let seconds = |duration: std::time::Duration| duration.as_secs_f64();
    json!({
        "count": summary.count,
        "sum": seconds(summary.sum),
        "p50": seconds(summary.p50),
        "p95": seconds(summary.p95),
        "p99": seconds(summary.p99),
        "p999": seconds(summary.p999),
        "max": seconds(summary.max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_are_told_apart_by_their_labels() {
        let samples = [
            Sample::counter("hits", 3),
            Sample::gauge("resources", 2.0).with_label("state", "idle"),
            Sample::gauge("resources", 1.5).with_label("state", "in_use"),
            Sample::gauge("ratio", f64::NAN),
            Sample::histogram("wait_seconds", Summary::default()),
        ];
        let figures = figures(&samples);
        assert_eq!(figures["hits"], json!(3));
        assert_eq!(figures["resources"], json!({"idle": 2.0, "in_use": 1.5}));
        assert_eq!(figures["ratio"], Json::Null);
        assert_eq!(figures["wait_seconds"]["p99"], json!(0.0));
    }
}

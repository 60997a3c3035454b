//! Values as files have them, typed, and as the environment has them, all of them text.

use figment::value::{Num, Value};
use std::time::Duration;

/// The longest time that is no typing error.
const TEN_YEARS: Duration = Duration::from_secs(315_360_000);

pub(super) fn flag(value: &Value) -> Option<bool> {
    if let Value::Bool(_, flag) = value {
        return Some(*flag);
    }
    match text(value)?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn integer(value: &Value) -> Option<u128> {
    match value {
        Value::Num(_, number) => number
            .to_u128()
            .or_else(|| u128::try_from(number.to_i128()?).ok()),
        _ => text(value)?.replace(['_', ','], "").parse().ok(),
    }
}

pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Num(_, number) => float(number)?,
        _ => text(value)?.parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// A number of seconds, or text such as `"250ms"`.
pub(super) fn time(value: &Value) -> Option<Duration> {
    if let Some(seconds) = number(value) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    humantime::parse_duration(text(value)?).ok()
}

/// A time, or -1 for none.
pub(super) fn time_or_never(value: &Value) -> Option<Option<Duration>> {
    if number(value).is_some_and(|seconds| seconds.total_cmp(&-1.0).is_eq()) {
        return Some(None);
    }
    let sensible = |time: &Duration| !time.is_zero() && *time <= TEN_YEARS;
    time(value).filter(sensible).map(Some)
}

pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim)
}

/// The value as a problem quotes it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match (integer(value), float(number)) {
            (Some(integer), _) => integer.to_string(),
            (None, Some(float)) => float.to_string(),
            (None, None) => "this number".into(),
        },
        Value::Dict(..) => "a table".into(),
        Value::Array(..) => "a list".into(),
        _ => {
            let start: String = text(value).unwrap_or_default().chars().take(40).collect();
            format!("{start:?}")
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no setting has more digits than a float"
)]
fn float(number: &Num) -> Option<f64> {
    let integer = || number.to_i128().map(|number| number as f64);
    let natural = || number.to_u128().map(|number| number as f64);
    number.to_f64().or_else(integer).or_else(natural)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_means_what_a_file_would_say() {
        for (typed, written) in [
            (Value::from(90), "90"),
            (Value::from(0.25), "250ms"),
            (Value::from(90), "1m 30s"),
            (Value::from(1.5), " 1.5 "),
        ] {
            assert_eq!(time(&typed), time(&Value::from(written)), "{written}");
            assert!(time(&typed).is_some());
        }
        assert_eq!(integer(&Value::from("100_000")), Some(100_000));
        assert_eq!(
            integer(&Value::from(100_000_u64)),
            integer(&Value::from("100,000"))
        );
        assert_eq!(flag(&Value::from(true)), flag(&Value::from("Yes")));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for wrong in ["", "soon", "-5", "NaN", "inf", "1e300", "5 parsecs"] {
            assert_eq!(time(&Value::from(wrong)), None, "{wrong}");
        }
        for wrong in [Value::from("-2"), Value::from(0), Value::from("11 years")] {
            assert_eq!(time_or_never(&wrong), None);
        }
        assert_eq!(time_or_never(&Value::from("-1")), Some(None));
        assert_eq!(time_or_never(&Value::from(-1)), Some(None));
        assert_eq!(integer(&Value::from(-1)), None);
    }
}

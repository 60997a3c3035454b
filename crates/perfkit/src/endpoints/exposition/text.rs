//! Names, values and numbers as the formats allow them.

use std::fmt::Write;

/// The longest label value. What is longer is cut, and told apart by a hash of the whole.
const MAX_LABEL: usize = 200;

/// A name of a metric or label: letters, digits and `_`, no digit first.
pub(super) fn name(raw: &str) -> String {
    let allowed = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    let mut name: String = raw.chars().map(allowed).collect();
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// A label's value, between the quotes.
pub(super) fn label(raw: &str) -> String {
    let mut escaped = String::with_capacity(raw.len());
    for letter in bounded(raw).chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn bounded(raw: &str) -> String {
    if raw.len() <= MAX_LABEL {
        return raw.to_owned();
    }
    let mut cut = raw[..raw.floor_char_boundary(MAX_LABEL)].to_owned();
    // Of a String, writing never fails.
    let _written = write!(cut, "… {:016x}", hash(raw));
    cut
}

/// FNV-1a, the same in every process.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// A number, with a point in it unless it is none.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_formats_forbid_is_replaced_or_escaped() {
        assert_eq!(name("wait-seconds"), "wait_seconds");
        assert_eq!(name("3é"), "_3_");
        assert_eq!(label("a\\b\"c\nd"), "a\\\\b\\\"c\\nd");
        assert_eq!([1.0, 0.1, 1e-9].map(float), ["1.0", "0.1", "1e-9"]);
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(float),
            ["NaN", "+Inf", "-Inf"]
        );
    }

    #[test]
    fn long_values_stay_apart_when_they_are_cut() {
        let texts = ["x", "y"].map(|end| "é".repeat(500) + end);
        let [one, other] = texts.map(|text| label(&text));
        assert_ne!(one, other);
        assert!(one.len() <= MAX_LABEL + 24, "{}", one.len());
    }
}

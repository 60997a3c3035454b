use super::error::Problem;
use super::{SecretUrl, value};
use figment::Figment;
use figment::value::Value;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Reads values one by one, noting what was asked for and what was wrong.
pub(super) struct Reader<'f> {
    figment: &'f Figment,
    pub(super) known: BTreeSet<String>,
    pub(super) problems: Vec<Problem>,
}

/// The keys of one section.
pub(super) struct Section<'r, 'f> {
    reader: &'r mut Reader<'f>,
    name: &'static str,
}

impl<'f> Reader<'f> {
    pub(super) const fn new(figment: &'f Figment) -> Self {
        Self {
            figment,
            known: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    pub(super) const fn section(&mut self, name: &'static str) -> Section<'_, 'f> {
        Section { reader: self, name }
    }
}

/// What is wrong is noted, and `None` for whoever has a default.
impl Section<'_, '_> {
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        self.read(key, "true or false", value::flag)
    }

    pub(super) fn count<N>(&mut self, key: &str, range: RangeInclusive<N>) -> Option<N>
    where
        N: Copy + Display + PartialOrd + TryFrom<u128>,
    {
        let expected = format!(
            "a whole number from {} to {}",
            grouped(range.start()),
            grouped(range.end())
        );
        let inside = |number: &N| range.contains(number);
        self.read(key, &expected, |value| {
            let number = N::try_from(value::integer(value)?);
            number.ok().filter(inside)
        })
    }

    /// A share above 0, at most 1.
    pub(super) fn share(&mut self, key: &str) -> Option<f64> {
        let inside = |share: &f64| *share > 0.0 && *share <= 1.0;
        self.read(key, "a share above 0, at most 1", |value| {
            value::number(value).filter(inside)
        })
    }

    pub(super) fn time(&mut self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let [least, most] =
            [range.start(), range.end()].map(|time| humantime::format_duration(*time));
        let expected = format!("a time from {least} to {most}");
        let inside = |time: &Duration| range.contains(time);
        self.read(key, &expected, |value| value::time(value).filter(inside))
    }

    /// A URL of one of these schemes. A wrong one is not quoted: it may hold a password.
    pub(super) fn url(&mut self, key: &str, schemes: &[&str]) -> Option<SecretUrl> {
        let value = self.find(key)?;
        let url = value::text(&value).map(SecretUrl::from);
        let url = url.filter(|url| schemes.contains(&url.scheme().as_str()));
        if url.is_none() {
            let message = format!(
                "the value is not a URL that begins with one of {}",
                list(schemes)
            );
            self.reject(key, &value, message);
        }
        url
    }

    pub(super) fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(key)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            let message = format!("{} is not {expected}", value::shown(&value));
            self.reject(key, &value, message);
        }
        parsed
    }

    fn find(&mut self, key: &str) -> Option<Value> {
        let path = format!("{}.{key}", self.name);
        let value = self.reader.figment.find_value(&path).ok();
        self.reader.known.insert(path);
        value
    }

    fn reject(&mut self, key: &str, value: &Value, message: String) {
        self.reader.problems.push(Problem {
            key: format!("{}.{key}", self.name),
            source: source(self.reader.figment, value),
            message,
        });
    }
}

/// Where a value came from.
pub(super) fn source(figment: &Figment, value: &Value) -> String {
    let Some(metadata) = figment.get_metadata(value.tag()) else {
        return "unknown source".into();
    };
    match &metadata.source {
        Some(source) => format!("{} {source}", metadata.name),
        None => metadata.name.to_string(),
    }
}

fn list(schemes: &[&str]) -> String {
    let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}:")).collect();
    schemes.join(", ")
}

/// A number with a comma before every three digits.
fn grouped(number: &impl Display) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(&number), text);
        }
    }
}

use std::fmt;

/// A point in time, exact to the nanosecond, in UTC.
///
/// Databases hold microseconds, JavaScript milliseconds; a cursor that rounds to either repeats or skips the
/// rows between.
///
/// ```
/// use perf_paginate::Timestamp;
///
/// let moment = Timestamp::parse("2013-01-01T05:00:00.000001+02:00").ok_or("RFC 3339")?;
/// assert_eq!(moment, Timestamp::from_unix(1_357_009_200, 1_000));
/// assert_eq!(moment.to_string(), "2013-01-01T03:00:00.000001Z");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

const DAY: i64 = 86_400;

impl Timestamp {
    /// `seconds` after the start of 1970, plus `nanos`, of which whole seconds carry over.
    #[must_use]
    pub const fn from_unix(seconds: i64, nanos: u32) -> Self {
        let carry = nanos / 1_000_000_000;
        Self {
            seconds: seconds.saturating_add(carry as i64),
            nanos: nanos % 1_000_000_000,
        }
    }

    /// Whole seconds after the start of 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`Timestamp::seconds`].
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Reads RFC 3339: a date, `T` or a space, a time with up to nine decimals, and an offset or `Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let (time, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let exists = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        if !exists || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let digits = rest.strip_prefix('.').map_or(0, |rest| {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        });
        let (nanos, zone) = match digits {
            0 if rest.starts_with('.') => return None,
            0 => (0, rest),
            1..=9 => {
                let fraction: u32 = rest[1..=digits].parse().ok()?;
                let scale = 10_u32.pow(9 - u32::try_from(digits).ok()?);
                (fraction * scale, &rest[digits + 1..])
            }
            _ => return None,
        };
        let clock = hour * 3_600 + minute * 60 + second;
        let seconds = days_from_civil(year, month, day) * DAY + clock - offset(zone)?;
        Some(Self { seconds, nanos })
    }
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let ahead = zone.strip_prefix('+');
    let [hour, minute] = numbers(ahead.or_else(|| zone.strip_prefix('-'))?, ':', [2, 2])?;
    let seconds = hour * 3_600 + minute * 60;
    (hour <= 23 && minute <= 59).then_some(if ahead.is_some() { seconds } else { -seconds })
}

/// Numbers of fixed widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *number = part
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01. Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*, 2013.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// RFC 3339 in UTC, with as many groups of three decimals as there are.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(DAY));
        let clock = self.seconds.rem_euclid(DAY);
        let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.nanos {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}", nanos / 1_000_000)?,
            nanos if nanos % 1_000 == 0 => write!(f, ".{:06}", nanos / 1_000)?,
            nanos => write!(f, ".{nanos:09}")?,
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(seconds in -62_135_596_800_i64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let moment = Timestamp::from_unix(seconds, nanos);
            prop_assert_eq!(Timestamp::parse(&moment.to_string()), Some(moment));
        }

        #[test]
        fn any_text_parses_without_panic(text in "\\PC{0,40}", near in "[0-9TZ:. +-]{18,32}") {
            let _neither_panics = (Timestamp::parse(&text), Timestamp::parse(&near));
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2013-02-29T00:00:00Z",
            "2013-13-01T00:00:00Z",
            "2013-00-01T00:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013-01-01T00:00:00",
            "2013-01-01T00:00:00.Z",
            "2013-01-01T00:00:00.0000000001Z",
            "2013-01-01T00:00:00+24:00",
            "13-01-01T00:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        assert_eq!(
            Timestamp::parse("2012-02-29 00:00:00Z"),
            Some(Timestamp::from_unix(1_330_473_600, 0))
        );
        assert_eq!(
            Timestamp::parse("1969-12-31T23:59:59.5Z"),
            Some(Timestamp::from_unix(-1, 500_000_000))
        );
    }
}

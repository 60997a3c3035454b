use crate::error::ConfigError;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// So many calls in so much time.
///
/// At most `burst` of them may come at once; they come back one by one, evenly over the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    count: NonZeroU32,
    burst: NonZeroU32,
    /// Nanoseconds.
    period: u64,
}

/// One limit or several that must all admit a call.
///
/// It is written as it is said, and printed as it is written:
///
/// ```
/// # fn main() -> Result<(), perf_breaker::ConfigError> {
/// use perf_breaker::Quota;
///
/// let quota: Quota = "100/minute; 10/second".parse()?;
/// assert_eq!(quota.limits().len(), 2);
/// assert_eq!(quota.to_string(), "100/minute; 10/second");
///
/// let quota: Quota = "6000 / 15 min burst 50".parse()?;
/// assert_eq!(quota.to_string(), "6000/15 minutes burst 50");
///
/// let error = "5/fortnight".parse::<Quota>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#""5/fortnight" is no quota: the unit is none of ns, us, ms, second, minute, hour, day"#,
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    limits: Box<[Limit]>,
}

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600 * SECOND;
/// A period and a full burst are at most a year: their sum with a moment never overflows.
const LONGEST: u64 = 366 * DAY;
/// Calls come back at least a microsecond apart, so that rounding costs at most a thousandth.
const SHORTEST_INTERVAL: u64 = 1_000;

/// Nanoseconds, singular, plural, abbreviations; the longest first, for printing.
const UNITS: [(u64, &str, &str, &[&str]); 7] = [
    (DAY, "day", "days", &["d"]),
    (3600 * SECOND, "hour", "hours", &["h", "hr"]),
    (60 * SECOND, "minute", "minutes", &["m", "min"]),
    (SECOND, "second", "seconds", &["s", "sec"]),
    (1_000_000, "ms", "ms", &["millisecond", "milliseconds"]),
    (1_000, "us", "us", &["microsecond", "microseconds"]),
    (1, "ns", "ns", &["nanosecond", "nanoseconds"]),
];

impl Limit {
    /// `count` calls in `period`, all of which may come at once.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Range`] if `count` is zero or more than one a microsecond,
    /// [`ConfigError::Span`] if the period is zero or more than 366 days.
    pub fn new(count: u32, period: Duration) -> Result<Self, ConfigError> {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 || nanos > LONGEST {
            return Err(ConfigError::Span {
                setting: "quota period",
                value: period,
                least: Duration::from_nanos(1),
                most: Duration::from_nanos(LONGEST),
            });
        }
        let most = (nanos / SHORTEST_INTERVAL).clamp(1, u64::from(u32::MAX));
        NonZeroU32::new(count)
            .filter(|count| u64::from(count.get()) <= most)
            .map(|count| Self {
                count,
                burst: count,
                period: nanos,
            })
            .ok_or_else(|| ConfigError::Range {
                setting: "quota count",
                value: u64::from(count),
                least: 1,
                most,
            })
    }

    /// The same rate with at most `burst` calls at once.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Range`] if `burst` is zero, or so large that it would take more than 366 days to
    /// come back.
    pub fn with_burst(self, burst: u32) -> Result<Self, ConfigError> {
        let interval = self.period.div_ceil(u64::from(self.count.get()));
        let most = (LONGEST / interval).clamp(1, u64::from(u32::MAX));
        NonZeroU32::new(burst)
            .filter(|burst| u64::from(burst.get()) <= most)
            .map(|burst| Self { burst, ..self })
            .ok_or_else(|| ConfigError::Range {
                setting: "burst",
                value: u64::from(burst),
                least: 1,
                most,
            })
    }

    /// How many calls a period allows.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count.get()
    }

    /// How many calls may come at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// The time in which [`count`](Self::count) calls come back.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }

    pub(crate) const fn period_nanos(&self) -> u64 {
        self.period
    }
}

impl Quota {
    /// The most limits that a quota can have.
    pub const MOST_LIMITS: usize = 8;

    /// A quota of several limits, all of which must admit a call.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Range`] unless there are 1 to 8 limits.
    pub fn all_of(limits: &[Limit]) -> Result<Self, ConfigError> {
        if limits.is_empty() || limits.len() > Self::MOST_LIMITS {
            return Err(ConfigError::Range {
                setting: "number of limits",
                value: limits.len() as u64,
                least: 1,
                most: Self::MOST_LIMITS as u64,
            });
        }
        Ok(Self {
            limits: limits.into(),
        })
    }

    /// `count` calls a second.
    ///
    /// # Errors
    ///
    /// As [`Limit::new`].
    pub fn per_second(count: u32) -> Result<Self, ConfigError> {
        Limit::new(count, Duration::from_secs(1)).map(Self::from)
    }

    /// `count` calls a minute.
    ///
    /// # Errors
    ///
    /// As [`Limit::new`].
    pub fn per_minute(count: u32) -> Result<Self, ConfigError> {
        Limit::new(count, Duration::from_secs(60)).map(Self::from)
    }

    /// Of limits that were a quota's before.
    pub(crate) fn of_rules(limits: impl Iterator<Item = Limit>) -> Self {
        Self {
            limits: limits.collect(),
        }
    }

    /// The limits, at least one.
    #[must_use]
    pub const fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

impl From<Limit> for Quota {
    fn from(limit: Limit) -> Self {
        Self {
            limits: Box::new([limit]),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, one, many) = in_units(self.period);
        if number == 1 {
            write!(f, "{}/{one}", self.count)?;
        } else {
            write!(f, "{}/{number} {many}", self.count)?;
        }
        if self.burst == self.count {
            Ok(())
        } else {
            write!(f, " burst {}", self.burst)
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, limit) in self.limits.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{limit}")?;
        }
        Ok(())
    }
}

impl FromStr for Quota {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let malformed = |problem| ConfigError::Quota {
            text: text.chars().take(100).collect(),
            problem,
        };
        let mut limits = Vec::new();
        for part in text.split(';') {
            if limits.len() == Self::MOST_LIMITS {
                return Err(malformed("it has more than 8 limits"));
            }
            let parsed = parse_limit(part).map_err(malformed)?;
            let limit = Limit::new(parsed.count, Duration::from_nanos(parsed.period))?;
            limits.push(match parsed.burst {
                Some(burst) => limit.with_burst(burst)?,
                None => limit,
            });
        }
        Self::all_of(&limits)
    }
}

/// So many of the largest unit that fits: the number, the unit's name for one and for many.
pub(crate) fn in_units(nanos: u64) -> (u64, &'static str, &'static str) {
    let fits = UNITS.iter().find(|unit| nanos.is_multiple_of(unit.0));
    fits.map_or((nanos, "ns", "ns"), |unit| (nanos / unit.0, unit.1, unit.2))
}

struct Parsed {
    count: u32,
    period: u64,
    burst: Option<u32>,
}

fn parse_limit(text: &str) -> Result<Parsed, &'static str> {
    let (count, rest) = text.split_once('/').ok_or("a limit reads count/time")?;
    let (period, burst) = match rest.split_once("burst") {
        Some((period, burst)) => (period, Some(parse_number(burst)?)),
        None => (rest, None),
    };
    Ok(Parsed {
        count: parse_number(count)?,
        period: parse_period(period.trim())?,
        burst,
    })
}

/// Nanoseconds, from a number and a unit or a unit alone.
pub(crate) fn parse_period(text: &str) -> Result<u64, &'static str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number = if number.is_empty() {
        1
    } else {
        parse_number(number)?
    };
    let unit = unit.trim();
    UNITS
        .iter()
        .find(|(_, one, many, short)| unit == *one || unit == *many || short.contains(&unit))
        .ok_or("the unit is none of ns, us, ms, second, minute, hour, day")
        .and_then(|unit| {
            unit.0
                .checked_mul(u64::from(number))
                .ok_or("the time is too long")
        })
}

fn parse_number(text: &str) -> Result<u32, &'static str> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a number is missing or has other characters than digits");
    }
    text.parse().map_err(|_| "a number is above 4,294,967,295")
}

//! Wall-clock time as what leaves the process: microseconds since 1970.

use std::time::{Duration, SystemTime};

/// Microseconds since 1970; times before it are 0, those past the year 294,000 the last one.
pub(crate) fn to_micros(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

/// The time of `to_micros`; negative ones count as 1970.
pub(crate) fn from_micros(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The time `after` another one, or the last that can be told.
pub(crate) fn later(time: SystemTime, after: Duration) -> SystemTime {
    time.checked_add(after)
        .unwrap_or_else(|| from_micros(i64::MAX))
}

/// The same for serde, as `#[serde(with = "…")]`.
pub(crate) mod serde {
    use super::{from_micros, to_micros};
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::SystemTime;

    pub(crate) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(to_micros(*time))
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        i64::deserialize(deserializer).map(from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_return_to_the_microsecond() {
        for micros in [0, 1, 1_700_000_000_123_456] {
            assert_eq!(to_micros(from_micros(micros)), micros);
        }
        assert_eq!(from_micros(-5), SystemTime::UNIX_EPOCH);
    }
}

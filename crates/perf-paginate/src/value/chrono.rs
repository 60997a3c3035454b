use super::{FieldValue, Kind, Timestamp, Value};
use chrono::{DateTime, Utc};

impl From<DateTime<Utc>> for Value {
    fn from(moment: DateTime<Utc>) -> Self {
        let nanos = moment.timestamp_subsec_nanos();
        Self::Timestamp(Timestamp::from_unix(moment.timestamp(), nanos))
    }
}

impl FieldValue for DateTime<Utc> {
    const KIND: Kind = Kind::Timestamp;
}

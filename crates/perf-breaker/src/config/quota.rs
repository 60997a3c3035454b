//! Quotas as people write them.

use crate::quota::Quota;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;
use std::borrow::Cow;

pub(super) fn serialize<S: Serializer>(quota: &Quota, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(quota)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quota, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// The same for a stage that may be missing.
pub(super) mod optional {
    use super::{Cow, Deserialize, Deserializer, Error, Quota, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        quota: &Option<Quota>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match quota {
            Some(quota) => super::serialize(quota, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Quota>, D::Error> {
        let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

use super::{FieldValue, Kind, Value};
use uuid::Uuid;

impl From<Uuid> for Value {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid.into_bytes())
    }
}

impl FieldValue for Uuid {
    const KIND: Kind = Kind::Uuid;
}

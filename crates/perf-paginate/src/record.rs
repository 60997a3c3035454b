//! Rows of which only some fields were asked for.

use crate::value::Value;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::borrow::Cow;
use std::sync::Arc;

/// Some fields of a row, by name, in the order they were asked for.
///
/// In JSON it is an object of these fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    names: Arc<[Cow<'static, str>]>,
    /// Those named, then those that only the walk needs.
    values: Vec<Value>,
}

impl Record {
    pub(crate) const fn new(names: Arc<[Cow<'static, str>]>, values: Vec<Value>) -> Self {
        Self { names, values }
    }

    /// The value of the field `name`, if it was asked for.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let place = self.names.iter().position(|known| known == name);
        place.and_then(|place| self.values.get(place))
    }

    /// The names and values of the fields.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        let names = self.names.iter().map(AsRef::as_ref);
        names.zip(&self.values)
    }

    pub(crate) fn at(&self, place: usize) -> &Value {
        &self.values[place]
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.fields() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

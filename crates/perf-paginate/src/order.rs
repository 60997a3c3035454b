//! The order of rows: always total.
//!
//! Two rows that tie have no order, so a page boundary between them may drop one or show it twice. A
//! [`TotalOrder`] therefore always ends with the resource's key. The key takes the direction of the
//! last sort key, which keeps a sort in one direction seekable as one comparison of row values.

use crate::cursor;
use crate::error::Error;
use crate::schema::{Layout, Schema};
use crate::value::Value;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Which way a field is sorted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Direction {
    /// Small values first.
    #[default]
    #[serde(alias = "asc")]
    Ascending,
    /// Large values first.
    #[serde(alias = "desc")]
    Descending,
}

/// Where NULLs go, whatever the direction and the database.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Nulls {
    /// Before every value.
    First,
    /// After every value.
    #[default]
    Last,
}

/// One field to sort by, as a request names it.
///
/// ```
/// use perf_paginate::{Direction, Nulls, SortKey};
///
/// let key = SortKey::parse("-dep_delay:nulls_first");
/// assert_eq!(key, SortKey::descending("dep_delay").nulls(Nulls::First));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct SortKey {
    /// The field's name.
    pub field: Cow<'static, str>,
    /// Which way.
    #[serde(default)]
    pub direction: Direction,
    /// Where NULLs go; after every value unless said otherwise.
    #[serde(default)]
    pub nulls: Nulls,
}

impl SortKey {
    /// Small values first.
    pub fn ascending(field: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: field.into(),
            direction: Direction::Ascending,
            nulls: Nulls::Last,
        }
    }

    /// Large values first.
    pub fn descending(field: impl Into<Cow<'static, str>>) -> Self {
        Self {
            direction: Direction::Descending,
            ..Self::ascending(field)
        }
    }

    /// Reads `field` as ascending and `-field` as descending; behind either, `:nulls_first` or
    /// `:nulls_last` places NULLs.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (text, nulls) = match text.rsplit_once(':') {
            Some((text, "nulls_first")) => (text, Nulls::First),
            Some((text, "nulls_last")) => (text, Nulls::Last),
            _ => (text, Nulls::default()),
        };
        let key = match text.strip_prefix('-') {
            Some(field) => Self::descending(field.to_owned()),
            None => Self::ascending(text.to_owned()),
        };
        key.nulls(nulls)
    }

    /// Where NULLs go.
    #[must_use]
    pub const fn nulls(mut self, nulls: Nulls) -> Self {
        self.nulls = nulls;
        self
    }
}

/// An order in which no two rows tie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalOrder {
    keys: Vec<OrderKey>,
}

/// One field of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrderKey {
    pub(crate) field: usize,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
    pub(crate) nullable: bool,
}

impl TotalOrder {
    /// Looks `sort` up in the allow-list and ends it with the resource's key.
    pub(crate) fn resolve(
        layout: &Layout,
        sort: &[SortKey],
        max_keys: usize,
    ) -> Result<Self, Error> {
        if sort.len() > max_keys {
            return Err(Error::TooComplex {
                what: "sort keys",
                max: max_keys,
            });
        }
        let holds = |keys: &[OrderKey], field| keys.iter().any(|key| key.field == field);
        let mut keys = Vec::with_capacity(sort.len() + layout.key.len());
        for key in sort {
            let field = layout.find(&key.field)?;
            let column = &layout.fields[field];
            if !column.sortable {
                return Err(Error::NotSortable {
                    field: column.name.to_string(),
                });
            }
            if holds(&keys, field) {
                return Err(Error::RepeatedSort {
                    field: column.name.to_string(),
                });
            }
            keys.push(OrderKey {
                field,
                descending: key.direction == Direction::Descending,
                // Of no meaning without NULLs, and one meaning must have one form.
                nulls_first: column.nullable && key.nulls == Nulls::First,
                nullable: column.nullable,
            });
        }
        // After the whole key nothing ties, so what follows it orders nothing.
        if let Some(end) =
            (1..=keys.len()).find(|end| layout.key.iter().all(|field| holds(&keys[..*end], *field)))
        {
            keys.truncate(end);
        }
        let descending = keys.last().is_some_and(|last| last.descending);
        for field in &layout.key {
            if !holds(&keys, *field) {
                keys.push(OrderKey {
                    field: *field,
                    descending,
                    nulls_first: false,
                    nullable: false,
                });
            }
        }
        Ok(Self { keys })
    }

    /// The order of the resource's key alone.
    pub(crate) fn by_key(layout: &Layout) -> Self {
        let key = |field: &usize| OrderKey {
            field: *field,
            descending: false,
            nulls_first: false,
            nullable: false,
        };
        Self {
            keys: layout.key.iter().map(key).collect(),
        }
    }

    pub(crate) fn keys(&self) -> &[OrderKey] {
        &self.keys
    }

    /// The same rows from last to first.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            keys: self.keys.iter().map(|key| key.reversed()).collect(),
        }
    }

    /// The values by which `row` is ordered.
    #[must_use]
    pub fn values_of<T>(&self, schema: &Schema<T>, row: &T) -> Vec<Value> {
        self.keys
            .iter()
            .map(|key| schema.read(row, key.field))
            .collect()
    }

    /// Which of two rows comes first, given their values of the order's fields.
    #[must_use]
    pub fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let per_key = self.keys.iter().zip(a.iter().zip(b));
        per_key
            .map(|(key, (a, b))| key.compare(a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// What a cursor of this order is bound to.
    pub(crate) fn fingerprint(&self) -> [u8; 8] {
        let mut bytes = Vec::with_capacity(self.keys.len() * (size_of::<usize>() + 1));
        self.encode(&mut bytes);
        cursor::hash(&bytes)
    }

    /// Appends a form that two orders of one schema share only if they are the same.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        for key in &self.keys {
            bytes.extend_from_slice(&key.field.to_be_bytes());
            bytes.push(u8::from(key.descending) | u8::from(key.nulls_first) << 1);
        }
    }
}

impl OrderKey {
    pub(crate) const fn reversed(self) -> Self {
        Self {
            descending: !self.descending,
            nulls_first: self.nullable && !self.nulls_first,
            ..self
        }
    }

    fn compare(self, a: &Value, b: &Value) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if self.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) => self.compare(b, a).reverse(),
            (false, false) => {
                let order = a.compare(b).unwrap_or(Ordering::Equal);
                if self.descending {
                    order.reverse()
                } else {
                    order
                }
            }
        }
    }
}

//! What a table offers to requests: the allow-list.
//!
//! Nothing outside a [`Schema`] reaches SQL: names in a request are looked up in it, never quoted, and
//! values take the declared kind before they are bound. Lists of forbidden columns have failed wherever
//! they were tried; a list of allowed ones can't be forgotten, because without it there is no field.

mod builder;
mod field;

use crate::error::Error;
use crate::value::{Kind, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use builder::SchemaBuilder;
pub use field::Field;
pub(crate) use field::{Column, Reader};

/// A row type that declares its own [`Schema`]; usually derived.
///
/// ```
/// use perf_paginate::{Error, Field, Resource, Schema};
///
/// struct Airport {
///     faa: String,
///     altitude: i64,
/// }
///
/// impl Resource for Airport {
///     fn schema() -> Result<Schema<Self>, Error> {
///         Schema::builder("airports")
///             .field(Field::new("faa", |airport: &Self| airport.faa.clone()))
///             .field(Field::new("altitude", |airport: &Self| airport.altitude).sortable())
///             .key(["faa"])
///             .build()
///     }
/// }
///
/// assert_eq!(Airport::schema()?.name(), "airports");
/// # Ok::<(), Error>(())
/// ```
pub trait Resource: Sized {
    /// The declaration.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when it contradicts itself.
    fn schema() -> Result<Schema<Self>, Error>;
}

/// A table, its columns, and what a request may do with them. Clones share it.
pub struct Schema<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    layout: Layout,
    readers: Vec<Reader<T>>,
}

/// The part of a schema that does not depend on the row type.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) name: Cow<'static, str>,
    pub(crate) table: Cow<'static, str>,
    /// Tables whose one matching row, if there is one, is read along.
    pub(crate) joins: Vec<Join>,
    /// Every column to select.
    pub(crate) columns: Vec<Selected>,
    /// The columns with a kind, which order, filter or identify rows.
    pub(crate) fields: Vec<Column>,
    /// Positions in `fields` that together are unique.
    pub(crate) key: Vec<usize>,
}

/// A table with at most one row for each of the resource's.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) table: Cow<'static, str>,
    /// The resource's column.
    pub(crate) own: Cow<'static, str>,
    /// The other table's unique column.
    pub(crate) other: Cow<'static, str>,
}

/// A column that every row has.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) of: Option<Cow<'static, str>>,
    pub(crate) column: Cow<'static, str>,
    /// What a row calls it.
    pub(crate) name: Cow<'static, str>,
}

impl<T> Schema<T> {
    /// Starts the declaration of `table`, whose name is also the resource's.
    ///
    /// A table of another namespace is written with a dot: `"archive.flights"`.
    pub fn builder(table: impl Into<Cow<'static, str>>) -> SchemaBuilder<T> {
        SchemaBuilder::new(table.into())
    }

    /// The resource's name, part of what a cursor is bound to.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.layout.name
    }

    /// The table's name, as a source writes it.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.shared.layout.table
    }

    /// Every column that a source selects, as a row calls it.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let columns = self.shared.layout.columns.iter();
        columns.map(|column| column.name.as_ref())
    }

    pub(crate) fn new(layout: Layout, readers: Vec<Reader<T>>) -> Self {
        Self {
            shared: Arc::new(Shared { layout, readers }),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// The value of one field of `row`.
    pub(crate) fn read(&self, row: &T, field: usize) -> Value {
        (self.shared.readers[field])(row)
    }
}

impl Layout {
    /// The field of this name.
    pub(crate) fn find(&self, name: &str) -> Result<usize, Error> {
        self.fields
            .iter()
            .position(|field| field.name == name)
            .ok_or_else(|| Error::UnknownField {
                field: name.to_owned(),
            })
    }

    pub(crate) fn kind(&self, field: usize) -> Kind {
        self.fields[field].kind
    }

    /// Differs between declarations whose cursors must not be mixed.
    pub(crate) fn fingerprint(&self) -> [u8; 8] {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update([0]);
        };
        add(&self.name);
        add(&self.table);
        for join in &self.joins {
            add(&join.table);
            add(&join.own);
            add(&join.other);
        }
        for field in &self.fields {
            add(&field.name);
            add(&field.column);
            add(field.of.as_deref().unwrap_or_default());
            add(field.kind.name());
        }
        for position in &self.key {
            add(&self.fields[*position].name);
        }
        first_eight(&hash.finalize())
    }
}

/// The first half of a quarter of a digest: enough where the token as a whole is signed.
pub(crate) fn first_eight(digest: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(digest) {
        *to = *from;
    }
    short
}

impl<T> Clone for Schema<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for Schema<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.layout.fmt(f)
    }
}

use crate::filter::{FilterOp, Operators};
use crate::value::{FieldValue, Kind, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// How a field is read off a row.
pub(crate) type Reader<T> = Arc<dyn Fn(&T) -> Value + Send + Sync>;

/// A column with a kind, which requests may name.
///
/// Nothing is allowed until it is said: a new field can be neither sorted nor filtered by.
///
/// ```
/// use perf_paginate::{Field, FilterOp};
///
/// struct Flight {
///     delay: Option<i64>,
/// }
///
/// let delay = Field::new("delay", |flight: &Flight| flight.delay)
///     .column("dep_delay")
///     .sortable()
///     .filterable_by([FilterOp::Gte, FilterOp::IsNull]);
/// assert_eq!(delay.name(), "delay");
/// ```
pub struct Field<T> {
    pub(crate) column: Column,
    pub(crate) reader: Reader<T>,
}

/// What there is to know of a field besides how to read it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: Cow<'static, str>,
    pub(crate) column: Cow<'static, str>,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) sortable: bool,
    pub(crate) operators: Operators,
}

impl<T> Field<T> {
    /// A field named as its column. Kind and nullability are those of the reader's result.
    pub fn new<V: FieldValue>(
        name: impl Into<Cow<'static, str>>,
        reader: impl Fn(&T) -> V + Send + Sync + 'static,
    ) -> Self {
        Self::of_kind(name, V::KIND, V::NULLABLE, move |row| reader(row).into())
    }

    /// A field whose kind is known only at run time. The reader must keep to it.
    pub fn of_kind(
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        nullable: bool,
        reader: impl Fn(&T) -> Value + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let column = Column {
            column: name.clone(),
            name,
            kind,
            nullable,
            sortable: false,
            operators: Operators::NONE,
        };
        Self {
            column,
            reader: Arc::new(reader),
        }
    }

    /// The name requests use.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.column.name
    }

    /// The column's name, where it differs from the field's.
    #[must_use]
    pub fn column(mut self, column: impl Into<Cow<'static, str>>) -> Self {
        self.column.column = column.into();
        self
    }

    /// Lets requests sort by it.
    #[must_use]
    pub const fn sortable(mut self) -> Self {
        self.column.sortable = true;
        self
    }

    /// Lets requests filter by it with every operator that suits its kind.
    #[must_use]
    pub fn filterable(mut self) -> Self {
        self.column.operators = Operators::suiting(self.column.kind, self.column.nullable);
        self
    }

    /// Lets requests filter by it with these operators.
    #[must_use]
    pub fn filterable_by(mut self, operators: impl IntoIterator<Item = FilterOp>) -> Self {
        self.column.operators = operators.into_iter().collect();
        self
    }
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt(f)
    }
}

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
    pub(crate) aggregatable: bool,
    pub(crate) leading: bool,
    /// The joined table that has it; the resource's own where there is none.
    pub(crate) of: Option<Cow<'static, str>>,
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
            aggregatable: false,
            leading: false,
            of: None,
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

    /// Takes it from a joined table, whose row may not be there: the field must be nullable.
    #[must_use]
    pub fn of(mut self, table: impl Into<Cow<'static, str>>) -> Self {
        self.column.of = Some(table.into());
        self
    }

    /// Promises that the sorts which requests combine with a list of its values have an index that begins with it.
    ///
    /// Such a list is then read as one range of the index for each value, and the ranges are merged: on PostgreSQL for
    /// any list, on MySQL and MariaDB for up to 16 values. SQLite reads the sort's own index and stops early. Without
    /// such an index every value would cost a scan.
    #[must_use]
    pub const fn leading(mut self) -> Self {
        self.column.leading = true;
        self
    }

    /// Lets requests have it measured, and rows parted by its values.
    #[must_use]
    pub const fn aggregatable(mut self) -> Self {
        self.column.aggregatable = true;
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

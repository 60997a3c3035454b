use super::{Column, Field, Join, Layout, Schema, Selected};
use crate::error::Error;
use crate::filter::{FilterOp, Operators};
use crate::value::Kind;
use std::borrow::Cow;

/// Collects a [`Schema`]; made by [`Schema::builder`].
#[derive(Debug)]
#[must_use]
pub struct SchemaBuilder<T> {
    name: Cow<'static, str>,
    table: Cow<'static, str>,
    joins: Vec<Join>,
    columns: Vec<Selected>,
    fields: Vec<Field<T>>,
    key: Vec<Cow<'static, str>>,
}

impl<T> SchemaBuilder<T> {
    pub(super) fn new(table: Cow<'static, str>) -> Self {
        Self {
            name: table.clone(),
            table,
            joins: Vec::new(),
            columns: Vec::new(),
            fields: Vec::new(),
            key: Vec::new(),
        }
    }

    /// The resource's name, where it differs from the table's.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// A column that requests may name.
    pub fn field(mut self, field: Field<T>) -> Self {
        let column = &field.column;
        let name = if column.of.is_some() {
            &column.name
        } else {
            &column.column
        };
        self.columns.push(Selected {
            of: column.of.clone(),
            column: column.column.clone(),
            name: name.clone(),
        });
        self.fields.push(field);
        self
    }

    /// A column that is only selected. Its type can be anything the row decodes.
    pub fn column(mut self, column: impl Into<Cow<'static, str>>) -> Self {
        let column = column.into();
        self.columns.push(Selected {
            of: None,
            name: column.clone(),
            column,
        });
        self
    }

    /// Reads along the row of `table` whose column `other` equals this resource's column `own`: many to one, in the
    /// same statement. `other` must be unique there. Fields name the table with [`Field::of`], and rows decode them
    /// by the field's name.
    ///
    /// A sort or filter by a joined field works, but no index spans two tables, so it is never sought.
    ///
    /// ```
    /// use perf_paginate::{Field, Schema};
    ///
    /// struct Flight { id: i64, airline: Option<String> }
    ///
    /// let schema = Schema::builder("flights")
    ///     .join("airlines", "carrier", "code")
    ///     .field(Field::new("id", |flight: &Flight| flight.id))
    ///     .field(Field::new("airline", |flight: &Flight| flight.airline.clone()).of("airlines").column("name"))
    ///     .key(["id"])
    ///     .build()?;
    /// assert_eq!(schema.columns().collect::<Vec<_>>(), ["id", "airline"]);
    /// # Ok::<(), perf_paginate::Error>(())
    /// ```
    pub fn join(
        mut self,
        table: impl Into<Cow<'static, str>>,
        own: impl Into<Cow<'static, str>>,
        other: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.joins.push(Join {
            table: table.into(),
            own: own.into(),
            other: other.into(),
        });
        self
    }

    /// The fields that together are unique, in the order of their index. They break every tie.
    pub fn key<N: Into<Cow<'static, str>>>(mut self, fields: impl IntoIterator<Item = N>) -> Self {
        self.key = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Checks the declaration.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when a name is empty or declared twice, when there is no key, when a key
    /// field is unknown, may be NULL or cannot be ordered exactly, or when a field allows an operator
    /// that does not suit it.
    pub fn build(self) -> Result<Schema<T>, Error> {
        if let Some(name) = self.blank_or_repeated() {
            return Err(wrong(format!("column {name:?} is empty or declared twice")));
        }
        for field in &self.fields {
            let column = &field.column;
            if column.sortable && column.kind == Kind::Float {
                return Err(wrong(format!(
                    "field {:?} is not exact, so cannot sort",
                    column.name
                )));
            }
            self.check_join(column)?;
            if column.leading && !column.operators.allow(FilterOp::In) {
                return Err(wrong(format!(
                    "field {:?} is leading, but no list of it can be asked for",
                    column.name
                )));
            }
            if !Operators::suiting(column.kind, column.nullable).include(column.operators) {
                return Err(wrong(format!(
                    "an operator does not suit field {:?}",
                    column.name
                )));
            }
        }
        let key = self
            .key
            .iter()
            .map(|name| self.key_field(name))
            .collect::<Result<Vec<_>, _>>()?;
        if key.is_empty() {
            return Err(wrong(format!("resource {:?} has no key", self.name)));
        }
        let (fields, readers) = self
            .fields
            .into_iter()
            .map(|field| (field.column, field.reader))
            .unzip();
        let layout = Layout {
            name: self.name,
            table: self.table,
            joins: self.joins,
            columns: self.columns,
            fields,
            key,
        };
        Ok(Schema::new(layout, readers))
    }

    fn check_join(&self, column: &Column) -> Result<(), Error> {
        let Some(table) = &column.of else {
            return Ok(());
        };
        let known = self
            .joins
            .iter()
            .filter(|join| join.table == *table)
            .count()
            == 1;
        if known && column.nullable && *table != self.table {
            return Ok(());
        }
        Err(wrong(format!(
            "field {:?} is of a table that is not joined once, or cannot be NULL",
            column.name
        )))
    }

    fn blank_or_repeated(&self) -> Option<&str> {
        let names: Vec<&str> = self.fields.iter().map(Field::name).collect();
        let columns: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        let own = [self.name.as_ref(), self.table.as_ref()];
        let joined = self
            .joins
            .iter()
            .flat_map(|join| [&join.table, &join.own, &join.other]);
        let selected = self.columns.iter();
        let selected = selected.flat_map(|column| column.of.iter().chain([&column.column]));
        let written = selected.chain(joined);
        first_repeated(&names)
            .or_else(|| first_repeated(&columns))
            .or_else(|| own.into_iter().find(|name| unusable(name)))
            .or_else(|| written.map(AsRef::as_ref).find(|name| unusable(name)))
    }

    fn key_field(&self, name: &str) -> Result<usize, Error> {
        let found = self.fields.iter().position(|field| field.name() == name);
        let position = found.ok_or_else(|| wrong(format!("key field {name:?} is not declared")))?;
        let column = &self.fields[position].column;
        if column.nullable || column.kind == Kind::Float {
            return Err(wrong(format!(
                "key field {name:?} may be NULL or is not exact"
            )));
        }
        if self.key.iter().filter(|key| *key == name).count() > 1 {
            return Err(wrong(format!("key field {name:?} is named twice")));
        }
        Ok(position)
    }
}

fn wrong(reason: String) -> Error {
    Error::Configuration(reason.into())
}

fn first_repeated<'a>(names: &[&'a str]) -> Option<&'a str> {
    let repeated = |position: usize, name: &str| names[..position].contains(&name);
    names
        .iter()
        .enumerate()
        .find(|(position, name)| unusable(name) || repeated(*position, name))
        .map(|(_, name)| *name)
}

/// No database accepts a NUL inside a quoted identifier.
fn unusable(name: &str) -> bool {
    name.is_empty() || name.contains('\0')
}

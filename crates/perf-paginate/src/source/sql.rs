mod matching;
mod plans;

use super::{
    EachItem, EachRow, Origin, Pace, PageSource, Position, Runner, Selection, matching_exactly,
};
use crate::aggregate::{AggregateSource, Aggregation, Group};
use crate::condition::Condition;
use crate::error::Error;
use crate::order::TotalOrder;
use crate::request::PageRequest;
use crate::schema::{Resource, Schema};
use crate::seek::{self, Manner, SeekForm, Segment};
use crate::statement::{Bind, Shape, Statement, Texts};
use crate::value::{Kind, Value};
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::{Arguments, Database, FromRow, Pool};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// What the databases' drivers differ in. Sealed by its parameter type: the backends are this crate's.
pub trait Backend: Database {
    /// The SQL that the database speaks.
    #[doc(hidden)]
    const DIALECT: Dialect;

    /// What stands before a statement to have its plan shown, and the column that shows it.
    #[doc(hidden)]
    const EXPLAIN: (&str, usize);

    /// What stands before a statement to have it planned without running it.
    #[doc(hidden)]
    const PLAN: &str;

    /// The step of a plan that reads more than the page shows, and the whole plan as text.
    #[doc(hidden)]
    fn obstacle(
        plan: &[Self::Row],
        is_merged: bool,
    ) -> Result<(Option<String>, String), sqlx::Error>;

    /// How many rows a statement will return as the planner expects it, read off its plan as rows; `None`
    /// where the database estimates nothing.
    #[doc(hidden)]
    fn expected(plan: &[Self::Row]) -> Result<Option<u64>, sqlx::Error>;

    /// Adds one parameter.
    #[doc(hidden)]
    fn bind(arguments: &mut Self::Arguments, bind: Bind) -> Result<(), BoxDynError>;

    /// The value of a column that is declared to be of `kind`.
    #[doc(hidden)]
    fn read(row: &Self::Row, column: usize, kind: Kind) -> Result<Value, sqlx::Error>;

    /// Whether the failure may pass.
    #[doc(hidden)]
    fn transience(error: &dyn DatabaseError) -> Transience;
}

/// A table, or a view, in a database.
///
/// Rows are decoded by the item's `FromRow`, by column name. A page is one statement; MySQL and MariaDB
/// take one more for each boundary to NULLs that the page crosses.
///
/// Statements run on a pool, or on any other [`Runner`].
pub struct SqlSource<DB: Database, T, E = Pool<DB>> {
    runner: E,
    schema: Schema<T>,
    form: SeekForm,
    texts: Texts,
    database: PhantomData<fn() -> DB>,
}

impl<DB: Backend, T, E: Runner<DB>> SqlSource<DB, T, E> {
    /// Pages of the table that `T` declares.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when the declaration contradicts itself, or has a field of a kind that the
    /// database does not.
    pub fn new(runner: E) -> Result<Self, Error>
    where
        T: Resource,
    {
        Self::with_schema(runner, T::schema()?)
    }

    /// Pages of the table that `schema` declares.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when it has a field of a kind that the database does not.
    pub fn with_schema(runner: E, schema: Schema<T>) -> Result<Self, Error> {
        let inexact = |kind| DB::DIALECT == Dialect::Sqlite && kind == Kind::Decimal;
        let mut fields = schema.layout().fields.iter();
        if let Some(field) = fields.find(|field| inexact(field.kind)) {
            let name = &field.name;
            let reason = format!("field {name:?} is a decimal, which SQLite does not hold exactly");
            return Err(Error::Configuration(reason.into()));
        }
        Ok(Self {
            runner,
            schema,
            form: SeekForm::of(DB::DIALECT),
            texts: Texts::default(),
            database: PhantomData,
        })
    }

    /// Replaces the form chosen for the database.
    #[must_use]
    pub const fn with_seek_form(mut self, form: SeekForm) -> Self {
        self.form = form;
        self
    }

    fn segments(
        &self,
        shape: &Shape<'_>,
        order: &TotalOrder,
        position: Option<Position<'_>>,
    ) -> Vec<Segment> {
        let manner = Manner {
            form: self.form,
            nulls_last: DB::DIALECT.sorts_nulls_last(),
            merges: self.form == SeekForm::RowValue && shape.merges_ranges(),
        };
        seek::plan(order, position, manner)
    }

    /// The texts of the statements that a page may take. The later ones run only where the earlier leave room.
    ///
    /// A text depends on the shape of a request and on none of its values, and is shared by all requests of
    /// the shape.
    pub fn statements(&self, request: &PageRequest) -> Vec<Arc<str>> {
        let planned = self.planned(request).into_iter();
        planned.map(|statement| statement.sql).collect()
    }

    fn planned(&self, request: &PageRequest) -> Vec<Statement> {
        let shape = self.shape(request.condition());
        let (origin, backward) = request.origin();
        let order = if backward {
            &request.order().reversed()
        } else {
            request.order()
        };
        let position = match origin {
            Origin::Skipping(offset) => return vec![shape.page(order, request.reach(), offset)],
            Origin::Beginning => None,
            Origin::At(position) => Some(position),
        };
        let segments = self.segments(&shape, order, position);
        shape
            .rounds(&segments)
            .map(|round| shape.rows(order, round, request.reach()))
            .collect()
    }

    fn shape<'a>(&'a self, condition: &'a Condition) -> Shape<'a> {
        Shape {
            dialect: DB::DIALECT,
            layout: self.schema.layout(),
            fields: None,
            condition,
            texts: &self.texts,
        }
    }
}

#[async_trait]
impl<DB, T, E> PageSource for SqlSource<DB, T, E>
where
    DB: Backend,
    E: Runner<DB>,
    T: for<'r> FromRow<'r, DB::Row> + Send + Unpin + 'static,
{
    type Item = T;

    fn schema(&self) -> &Schema<T> {
        &self.schema
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<T>, Error> {
        let mut items = Vec::with_capacity(room_for(selection));
        let shape = self.shape(selection.condition);
        let keep: EachRow<'_, DB::Row> = &mut |row| {
            items.push(T::from_row(&row)?);
            Ok(Pace::On)
        };
        self.selected(shape, selection, keep).await?;
        Ok(items)
    }

    async fn each(&self, selection: &Selection<'_>, each: EachItem<'_, T>) -> Result<(), Error> {
        let shape = self.shape(selection.condition);
        let decoded: EachRow<'_, DB::Row> = &mut |row| Ok(each(T::from_row(&row)?));
        self.selected(shape, selection, decoded).await
    }

    async fn records(
        &self,
        selection: &Selection<'_>,
        fields: &[usize],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let shape = Shape {
            fields: Some(fields),
            ..self.shape(selection.condition)
        };
        let layout = self.schema.layout();
        let mut records = Vec::with_capacity(room_for(selection));
        let keep: EachRow<'_, DB::Row> = &mut |row| {
            let columns = fields.iter().enumerate();
            let record = columns.map(|(column, field)| DB::read(&row, column, layout.kind(*field)));
            records.push(record.collect::<Result<Vec<_>, _>>()?);
            Ok(Pace::On)
        };
        self.selected(shape, selection, keep).await?;
        Ok(records)
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        let counted = self.all(self.shape(condition).count(at_most)).await?;
        let counted = counted.first().map(|row| DB::read(row, 0, Kind::Int));
        match counted.transpose().map_err(failed::<DB>)? {
            Some(Value::Int(rows)) => Ok(rows.unsigned_abs()),
            _ => Ok(0),
        }
    }

    async fn matching(
        &self,
        condition: &Condition,
        order: &TotalOrder,
        field: usize,
        keys: &[Value],
    ) -> Result<Vec<(usize, T)>, Error> {
        // Only text has values that differ and are equal all the same.
        if self.schema.layout().kind(field) == Kind::Text {
            self.matching_text(condition, order, field, keys).await
        } else {
            matching_exactly(self, condition, order, field, keys).await
        }
    }

    async fn estimate(&self, condition: &Condition) -> Result<Option<u64>, Error> {
        if DB::DIALECT == Dialect::Sqlite {
            // It has a planner but tells no number of rows.
            return Ok(None);
        }
        let statement = self.shape(condition).every();
        let sql = format!("EXPLAIN {}", statement.sql).into();
        let plan = self.all(Statement { sql, ..statement }).await?;
        DB::expected(&plan).map_err(failed::<DB>)
    }
}

#[async_trait]
impl<DB, T, E> AggregateSource for SqlSource<DB, T, E>
where
    DB: Backend,
    E: Runner<DB>,
    T: for<'r> FromRow<'r, DB::Row> + Send + Unpin + 'static,
{
    async fn aggregate(&self, aggregation: &Aggregation<'_>) -> Result<Vec<Group>, Error> {
        let layout = self.schema.layout();
        let statement = self.shape(aggregation.condition).aggregate(aggregation);
        let group = |row: &DB::Row| {
            let rows = DB::read(row, 0, Kind::Int)?;
            let key = aggregation
                .group
                .map(|field| DB::read(row, 1, layout.kind(field)));
            let first = if aggregation.group.is_some() { 2 } else { 1 };
            let values = (first..)
                .zip(aggregation.measures)
                .map(|(column, (measure, field))| {
                    let kind = measure.kind(layout.kind(*field));
                    // SQLite's sum of integers is an integer.
                    let exact = DB::DIALECT == Dialect::Sqlite && kind == Kind::Decimal;
                    let value = DB::read(row, column, if exact { Kind::Int } else { kind })?;
                    Ok(if exact {
                        value.coerced(kind).unwrap_or(Value::Null)
                    } else {
                        value
                    })
                });
            let values = values.collect::<Result<Vec<_>, sqlx::Error>>()?;
            let Value::Int(rows) = rows else {
                return Err(undecodable(0, "no count"));
            };
            Ok(Group::new(
                key.transpose()?.unwrap_or(Value::Null),
                rows.unsigned_abs(),
                values,
            ))
        };
        let groups = self.all(statement).await?;
        groups
            .iter()
            .map(group)
            .collect::<Result<_, _>>()
            .map_err(failed::<DB>)
    }
}

impl<DB: Backend, T, E: Runner<DB>> SqlSource<DB, T, E> {
    /// Hands over the rows of a selection, statement by statement while there is room.
    async fn selected(
        &self,
        shape: Shape<'_>,
        selection: &Selection<'_>,
        each: EachRow<'_, DB::Row>,
    ) -> Result<(), Error> {
        let (order, limit) = (selection.order, selection.limit);
        let segments = match selection.from {
            Origin::Skipping(offset) => {
                let page = shape.page(order, limit, offset);
                return self.run(page, each).await.map(drop);
            }
            Origin::Beginning => self.segments(&shape, order, None),
            Origin::At(position) => self.segments(&shape, order, Some(position)),
        };
        let mut room = limit;
        for round in shape.rounds(&segments) {
            let found = self.run(shape.rows(order, round, room), each).await?;
            room = room.saturating_sub(found);
            if room == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Hands over the rows of a statement; how many there were.
    async fn run(&self, statement: Statement, each: EachRow<'_, DB::Row>) -> Result<u64, Error> {
        let arguments = arguments::<DB>(statement.binds)?;
        let mut rows = 0;
        let counted: EachRow<'_, DB::Row> = &mut |row| {
            rows += 1;
            each(row)
        };
        let ran = self.runner.run(statement.sql, arguments, counted).await;
        ran.map_err(failed::<DB>)?;
        Ok(rows)
    }

    /// The rows of a statement that has few.
    async fn all(&self, statement: Statement) -> Result<Vec<DB::Row>, Error> {
        let mut rows = Vec::new();
        let keep: EachRow<'_, DB::Row> = &mut |row| {
            rows.push(row);
            Ok(Pace::On)
        };
        self.run(statement, keep).await?;
        Ok(rows)
    }
}

/// How many rows to make room for at once: a limit may be as good as none.
fn room_for(selection: &Selection<'_>) -> usize {
    usize::try_from(selection.limit.min(2_048)).unwrap_or(0)
}

fn arguments<DB: Backend>(binds: Vec<Bind>) -> Result<DB::Arguments, Error> {
    let mut arguments = DB::Arguments::default();
    arguments.reserve(binds.len(), 0);
    for bind in binds {
        DB::bind(&mut arguments, bind).map_err(|_| Error::ValueOutOfRange)?;
    }
    Ok(arguments)
}

/// A column whose content is none of its declared kind.
pub(super) fn undecodable(column: usize, source: impl Into<BoxDynError>) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_string(),
        source: source.into(),
    }
}

fn failed<DB: Backend>(error: sqlx::Error) -> Error {
    let transience = match &error {
        sqlx::Error::Database(database) => DB::transience(&**database),
        sqlx::Error::Io(io) => Transience::of_io(io.kind()),
        sqlx::Error::PoolTimedOut => Transience::Transient,
        _ => Transience::Permanent,
    };
    Error::Backend {
        source: error.into(),
        transient: transience.is_transient(),
    }
}

impl<DB: Backend, T, E> fmt::Debug for SqlSource<DB, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSource")
            .field("dialect", &DB::DIALECT)
            .field("schema", &self.schema)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

use super::{Batch, Origin, PageSource, Position, Runner, Selection};
use crate::advice::{self, IndexAdvice, Seek};
use crate::aggregate::{AggregateSource, Aggregation, Group};
use crate::condition::Condition;
use crate::error::Error;
use crate::order::TotalOrder;
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::request::PageRequest;
use crate::schema::{Resource, Schema};
use crate::seek::{self, SeekForm, Segment};
use crate::statement::{Bind, Shape, Statement, Texts};
use crate::value::{Kind, Value};
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::error::{BoxDynError, DatabaseError};
use sqlx::{Arguments, ColumnIndex, Database, Decode, FromRow, Pool, Row, Type};
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

    fn segments(&self, order: &TotalOrder, position: Option<Position<'_>>) -> Vec<Segment> {
        seek::plan(order, position, self.form, DB::DIALECT.sorts_nulls_last())
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
        let segments = self.segments(order, position);
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
        let rows = self
            .selected(self.shape(selection.condition), selection)
            .await?;
        let items = rows.into_iter().map(|row| T::from_row(&row));
        items.collect::<Result<_, _>>().map_err(failed::<DB>)
    }

    async fn batch(&self, selection: &Selection<'_>) -> Result<Batch<T>, Error> {
        let rows = self
            .selected(self.shape(selection.condition), selection)
            .await?;
        let last = rows.last().map(T::from_row);
        let last = last.transpose().map_err(failed::<DB>)?;
        let last = last.map(|last| selection.order.values_of(&self.schema, &last));
        Ok(Batch::new(rows.len(), last, || {
            let items = rows.into_iter().map(|row| T::from_row(&row));
            items.collect::<Result<_, _>>().map_err(failed::<DB>)
        }))
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
        let rows = self.selected(shape, selection).await?;
        let layout = self.schema.layout();
        let record = |row: &DB::Row| {
            let columns = fields.iter().enumerate();
            columns
                .map(|(column, field)| DB::read(row, column, layout.kind(*field)))
                .collect::<Result<Vec<_>, _>>()
        };
        let records = rows.iter().map(record);
        records.collect::<Result<_, _>>().map_err(failed::<DB>)
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        let counted = self.run(self.shape(condition).count(at_most)).await?;
        let counted = counted.first().map(|row| DB::read(row, 0, Kind::Int));
        match counted.transpose().map_err(failed::<DB>)? {
            Some(Value::Int(rows)) => Ok(rows.unsigned_abs()),
            _ => Ok(0),
        }
    }

    async fn estimate(&self, condition: &Condition) -> Result<Option<u64>, Error> {
        if DB::DIALECT == Dialect::Sqlite {
            // It has a planner but tells no number of rows.
            return Ok(None);
        }
        let statement = self.shape(condition).every();
        let sql = format!("EXPLAIN {}", statement.sql).into();
        let plan = self.run(Statement { sql, ..statement }).await?;
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
        let groups = self.run(statement).await?;
        groups
            .iter()
            .map(group)
            .collect::<Result<_, _>>()
            .map_err(failed::<DB>)
    }
}

impl<DB: Backend, T, E: Runner<DB>> SqlSource<DB, T, E> {
    /// How the database reads a page, in its own words, one text for each statement.
    ///
    /// PostgreSQL and MariaDB run the statement to tell what it took; SQLite tells what it would do. The
    /// plan of a page that seeks shows an index condition on the sort's fields, and no sort.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the database fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    pub async fn explain(&self, request: &PageRequest) -> Result<Vec<String>, Error>
    where
        usize: ColumnIndex<DB::Row>,
        for<'r> String: Decode<'r, DB> + Type<DB>,
    {
        let (prefix, column) = DB::EXPLAIN;
        let mut plans = Vec::new();
        for statement in self.planned(request) {
            let sql = format!("{prefix} {}", statement.sql).into();
            let rows = self.run(Statement { sql, ..statement }).await?;
            let lines = rows.iter().map(|row| row.try_get::<String, _>(column));
            let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(failed::<DB>)?;
            plans.push(lines.join("\n"));
        }
        Ok(plans)
    }

    /// The index that lets every page of the request's shape be sought.
    pub fn advise(&self, request: &PageRequest) -> IndexAdvice {
        let layout = self.schema.layout();
        advice::index(DB::DIALECT, layout, request.condition(), request.order())
    }

    /// How the database would read the request's page, without reading it.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the database fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the question and changes nothing.
    pub async fn seek(&self, request: &PageRequest) -> Result<Seek, Error> {
        let mut seek = Seek {
            obstacle: None,
            plans: Vec::new(),
            advice: self.advise(request),
        };
        for statement in self.planned(request) {
            let is_merged = statement.sql.contains(") AS merged ORDER BY");
            let sql = format!("{} {}", DB::PLAN, statement.sql).into();
            let plan = self.run(Statement { sql, ..statement }).await?;
            let (obstacle, text) = DB::obstacle(&plan, is_merged).map_err(failed::<DB>)?;
            seek.obstacle = seek.obstacle.or(obstacle);
            seek.plans.push(text);
        }
        Ok(seek)
    }

    /// The rows of a selection, statement by statement while there is room.
    async fn selected(
        &self,
        shape: Shape<'_>,
        selection: &Selection<'_>,
    ) -> Result<Vec<DB::Row>, Error> {
        let (order, limit) = (selection.order, selection.limit);
        let segments = match selection.from {
            Origin::Skipping(offset) => return self.run(shape.page(order, limit, offset)).await,
            Origin::Beginning => self.segments(order, None),
            Origin::At(position) => self.segments(order, Some(position)),
        };
        let mut rows = Vec::new();
        let mut room = limit;
        for round in shape.rounds(&segments) {
            let found = self.run(shape.rows(order, round, room)).await?;
            room = room.saturating_sub(u64::try_from(found.len()).unwrap_or(u64::MAX));
            if rows.is_empty() {
                rows = found;
            } else {
                rows.extend(found);
            }
            if room == 0 {
                break;
            }
        }
        Ok(rows)
    }

    async fn run(&self, statement: Statement) -> Result<Vec<DB::Row>, Error> {
        let arguments = arguments::<DB>(statement.binds)?;
        let rows = self.runner.run(statement.sql, arguments).await;
        rows.map_err(failed::<DB>)
    }
}

impl<DB, T, E> Paginator<SqlSource<DB, T, E>>
where
    DB: Backend,
    E: Runner<DB>,
    T: for<'r> FromRow<'r, DB::Row> + Send + Unpin + 'static,
{
    /// How the database reads the first and, if there is one, the second page of a query; see
    /// [`assert_seek!`](crate::assert_seek).
    ///
    /// # Errors
    ///
    /// Those of [`Paginator::page`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the question and changes nothing.
    pub async fn seek(&self, query: &PageQuery) -> Result<Seek, Error> {
        let first = self.source().seek(&self.check(query)?).await?;
        if !first.is_sought() {
            return Ok(first);
        }
        match self.page(query).await?.info.next {
            Some(next) => {
                let second = query.clone().cursor(next);
                self.source().seek(&self.check(&second)?).await
            }
            None => Ok(first),
        }
    }
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

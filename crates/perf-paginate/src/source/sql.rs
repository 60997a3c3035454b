use super::{Origin, PageSource, Position, Selection};
use crate::condition::Condition;
use crate::error::Error;
use crate::order::TotalOrder;
use crate::request::PageRequest;
use crate::schema::{Resource, Schema};
use crate::seek::{self, SeekForm, Segment};
use crate::statement::{Bind, Shape, Statement};
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::error::DatabaseError;
use sqlx::{
    Arguments, AssertSqlSafe, ColumnIndex, Database, Decode, Executor, FromRow, IntoArguments,
    Pool, Row, Type,
};
use std::fmt;

/// What the databases' drivers differ in. Sealed by its parameter type: the backends are this crate's.
pub trait Backend: Database {
    /// The SQL that the database speaks.
    #[doc(hidden)]
    const DIALECT: Dialect;

    /// What stands before a statement to have its plan shown, and the column that shows it.
    #[doc(hidden)]
    const EXPLAIN: (&str, usize);

    /// Adds one parameter.
    #[doc(hidden)]
    fn bind(arguments: &mut Self::Arguments, bind: Bind) -> Result<(), sqlx::error::BoxDynError>;

    /// Whether the failure may pass.
    #[doc(hidden)]
    fn transience(error: &dyn DatabaseError) -> Transience;
}

/// A table, or a view, in a database.
///
/// Rows are decoded by the item's `FromRow`, by column name. A page is one statement; MySQL and MariaDB
/// take one more for each boundary to NULLs that the page crosses.
pub struct SqlSource<DB: Database, T> {
    pool: Pool<DB>,
    schema: Schema<T>,
    form: SeekForm,
}

impl<DB: Backend, T> SqlSource<DB, T> {
    /// Pages of the table that `T` declares.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when the declaration contradicts itself.
    pub fn new(pool: Pool<DB>) -> Result<Self, Error>
    where
        T: Resource,
    {
        Ok(Self::with_schema(pool, T::schema()?))
    }

    /// Pages of the table that `schema` declares.
    pub fn with_schema(pool: Pool<DB>, schema: Schema<T>) -> Self {
        Self {
            pool,
            schema,
            form: SeekForm::of(DB::DIALECT),
        }
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

    /// The statements that a page may take, the later ones only where the earlier leave room.
    fn statements(&self, request: &PageRequest) -> Vec<Statement> {
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
            condition,
        }
    }
}

#[async_trait]
impl<DB, T> PageSource for SqlSource<DB, T>
where
    DB: Backend,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    (i64,): for<'r> FromRow<'r, DB::Row>,
    T: for<'r> FromRow<'r, DB::Row> + Send + Unpin + 'static,
{
    type Item = T;

    fn schema(&self) -> &Schema<T> {
        &self.schema
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<T>, Error> {
        let shape = self.shape(selection.condition);
        let segments = match selection.from {
            Origin::Skipping(offset) => {
                return self
                    .all(shape.page(selection.order, selection.limit, offset))
                    .await;
            }
            Origin::Beginning => self.segments(selection.order, None),
            Origin::At(position) => self.segments(selection.order, Some(position)),
        };
        let mut rows = Vec::new();
        let mut room = selection.limit;
        for round in shape.rounds(&segments) {
            let found: Vec<T> = self.all(shape.rows(selection.order, round, room)).await?;
            room = room.saturating_sub(u64::try_from(found.len()).unwrap_or(u64::MAX));
            rows.extend(found);
            if room == 0 {
                break;
            }
        }
        Ok(rows)
    }

    async fn count(&self, condition: &Condition, at_most: Option<u64>) -> Result<u64, Error> {
        let counted: Vec<(i64,)> = self.all(self.shape(condition).count(at_most)).await?;
        Ok(counted.first().map_or(0, |(rows,)| rows.unsigned_abs()))
    }
}

impl<DB: Backend, T> SqlSource<DB, T>
where
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
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
        for statement in self.statements(request) {
            let sql = AssertSqlSafe(format!("{prefix} {}", statement.sql));
            let query = sqlx::query_with(sql, arguments::<DB>(statement.binds)?);
            let rows = query.fetch_all(&self.pool).await.map_err(failed::<DB>)?;
            let lines = rows.iter().map(|row| row.try_get::<String, _>(column));
            let lines: Vec<String> = lines.collect::<Result<_, _>>().map_err(failed::<DB>)?;
            plans.push(lines.join("\n"));
        }
        Ok(plans)
    }

    async fn all<O>(&self, statement: Statement) -> Result<Vec<O>, Error>
    where
        O: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        let arguments = arguments::<DB>(statement.binds)?;
        // The text is the planner's: identifiers from the declaration, every value bound.
        sqlx::query_as_with(AssertSqlSafe(statement.sql), arguments)
            .fetch_all(&self.pool)
            .await
            .map_err(failed::<DB>)
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

impl<DB: Backend, T> fmt::Debug for SqlSource<DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSource")
            .field("dialect", &DB::DIALECT)
            .field("schema", &self.schema)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

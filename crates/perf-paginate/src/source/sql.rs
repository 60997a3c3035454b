use super::{Origin, PageSource, Selection};
use crate::condition::Condition;
use crate::error::Error;
use crate::schema::{Resource, Schema};
use crate::seek::{self, SeekForm};
use crate::statement::{Bind, Shape, Statement};
use async_trait::async_trait;
use perf_core::{Dialect, Transience};
use sqlx::error::DatabaseError;
use sqlx::{Arguments, AssertSqlSafe, Database, Executor, FromRow, IntoArguments, Pool};
use std::fmt;

/// What the databases' drivers differ in. Sealed by its parameter type: the backends are this crate's.
pub trait Backend: Database {
    /// The SQL that the database speaks.
    #[doc(hidden)]
    const DIALECT: Dialect;

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
        let position = match selection.from {
            Origin::Beginning => None,
            Origin::At(position) => Some(position),
            Origin::Skipping(offset) => {
                return self
                    .all(shape.page(selection.order, selection.limit, offset))
                    .await;
            }
        };
        let nulls_last = DB::DIALECT.sorts_nulls_last();
        let segments = seek::plan(selection.order, position, self.form, nulls_last);
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

impl<DB: Backend, T> SqlSource<DB, T> {
    async fn all<O>(&self, statement: Statement) -> Result<Vec<O>, Error>
    where
        DB::Arguments: IntoArguments<DB>,
        for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
        O: for<'r> FromRow<'r, DB::Row> + Send + Unpin,
    {
        let mut arguments = DB::Arguments::default();
        arguments.reserve(statement.binds.len(), 0);
        for bind in statement.binds {
            DB::bind(&mut arguments, bind).map_err(|_| Error::ValueOutOfRange)?;
        }
        // The text is the planner's: identifiers from the declaration, every value bound.
        sqlx::query_as_with(AssertSqlSafe(statement.sql), arguments)
            .fetch_all(&self.pool)
            .await
            .map_err(failed::<DB>)
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

impl<DB: Backend, T> fmt::Debug for SqlSource<DB, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSource")
            .field("dialect", &DB::DIALECT)
            .field("schema", &self.schema)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

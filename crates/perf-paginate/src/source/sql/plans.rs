//! How a database would read a page, and what would help it.

use super::{Backend, SqlSource, failed};
use crate::advice::{self, IndexAdvice, Seek};
use crate::error::Error;
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::request::PageRequest;
use crate::source::Runner;
use crate::statement::Statement;
use sqlx::{ColumnIndex, Decode, FromRow, Row as _, Type};

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
            let rows = self.all(Statement { sql, ..statement }).await?;
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
            let plan = self.all(Statement { sql, ..statement }).await?;
            let (obstacle, text) = DB::obstacle(&plan, is_merged).map_err(failed::<DB>)?;
            seek.obstacle = seek.obstacle.or(obstacle);
            seek.plans.push(text);
        }
        Ok(seek)
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

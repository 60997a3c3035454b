use crate::cursor::Cursor;
use crate::error::Error;
use crate::page::{Page, Total};
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::source::PageSource;

/// A page in the shape of the GraphQL Cursor Connections Specification: each row with a cursor of its own.
///
/// Serialized, its names are the specification's: `pageInfo`, `hasNextPage`, `endCursor`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Connection<T> {
    /// The rows and their cursors, in the requested order.
    pub edges: Vec<Edge<T>>,
    /// What lies before and after.
    pub page_info: ConnectionInfo,
    /// How many rows there are on all pages, where they were counted to the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<u64>,
}

/// A row and its cursor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Edge<T> {
    /// The row.
    pub node: T,
    /// The row's place, for [`PageQuery::after`] and [`PageQuery::before`]. `None` where the row's sort values exceed
    /// `Limits::max_cursor`.
    pub cursor: Option<Cursor>,
}

/// What lies before and after a connection's edges. All of it was seen in the database, none of it assumed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Whether rows follow.
    pub has_next_page: bool,
    /// Whether rows precede.
    pub has_previous_page: bool,
    /// The first edge's cursor.
    pub start_cursor: Option<Cursor>,
    /// The last edge's cursor.
    pub end_cursor: Option<Cursor>,
}

impl<S: PageSource> Paginator<S> {
    /// Checks a query and fetches its page as a connection.
    ///
    /// The arguments `first` and `after` are `PageQuery::new().size(first).after(after)`; `last` and `before` are
    /// `.size(last).before(before)`, and `last` alone is `.size(last).last()`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_paginate::{Field, PageQuery, Paginator, Schema, Signed, SliceSource};
    ///
    /// let schema = Schema::builder("n").field(Field::new("n", |n: &i64| *n)).key(["n"]).build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, vec![1, 2, 3, 4]), Signed::new(&[7; 32])?);
    ///
    /// let first = paginator.connection(&PageQuery::new().size(3)).await?;
    /// let second = first.edges[1].cursor.clone().ok_or("short enough")?;
    /// let after = paginator.connection(&PageQuery::new().size(1).after(second.clone())).await?;
    /// let before = paginator.connection(&PageQuery::new().size(1).before(second)).await?;
    /// assert_eq!((after.edges[0].node, before.edges[0].node), (3, 1));
    /// assert!(after.page_info.has_previous_page);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Paginator::page`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    pub async fn connection(&self, query: &PageQuery) -> Result<Connection<S::Item>, Error> {
        let request = self.check(query)?;
        let Page { items, info, total } = self.fetch(&request).await?;
        let edge = |node| Edge {
            cursor: self.cursor_after(&request, &node),
            node,
        };
        let edges: Vec<Edge<S::Item>> = items.into_iter().map(edge).collect();
        let cursor = |edge: Option<&Edge<S::Item>>| edge.and_then(|edge| edge.cursor.clone());
        Ok(Connection {
            page_info: ConnectionInfo {
                has_next_page: info.has_next,
                has_previous_page: info.has_prev,
                start_cursor: cursor(edges.first()),
                end_cursor: cursor(edges.last()),
            },
            edges,
            total_count: match total {
                Total::Exact(rows) => Some(rows),
                _ => None,
            },
        })
    }
}

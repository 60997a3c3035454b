mod view;

use crate::condition::{Author, Condition};
use crate::cursor::{self, Cursor, CursorCodec, Place};
use crate::error::Error;
use crate::filter::Filter;
use crate::limits::Limits;
use crate::order::TotalOrder;
use crate::page::{CountMode, Page, PageInfo, Total};
use crate::query::PageQuery;
use crate::record::Record;
use crate::request::{COUNT_CAP, Checker, PageRequest, Restriction, Start};
use crate::source::{Origin, PageSource, Position, Selection};
use crate::value::Value;
use std::fmt;
use std::slice;
use std::sync::Arc;
use view::{Sparse, View, Whole};

/// Checks queries and fetches pages. Clones share the source.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), perf_paginate::Error> {
/// use perf_paginate::{Field, PageQuery, Paginator, Schema, Signed, SliceSource};
///
/// let schema = Schema::builder("numbers").field(Field::new("n", |n: &i64| *n)).key(["n"]).build()?;
/// let numbers: Vec<i64> = (0..100).collect();
/// let paginator = Paginator::new(SliceSource::new(schema, numbers), Signed::new(&[7; 32])?);
///
/// let first = paginator.page(&PageQuery::new().size(3)).await?;
/// let next = first.info.next.ok_or("there are more").unwrap();
/// let second = paginator.page(&PageQuery::new().size(3).cursor(next)).await?;
/// assert_eq!(second.items, [3, 4, 5]);
/// assert!(second.info.has_prev);
/// # Ok(())
/// # }
/// ```
pub struct Paginator<S> {
    source: Arc<S>,
    codec: Arc<dyn CursorCodec>,
    limits: Arc<Limits>,
    restriction: Arc<Restriction>,
    resource: [u8; 8],
    /// On whose behalf, as cursors are bound to it.
    scope: [u8; 8],
}

impl<S: PageSource> Paginator<S> {
    /// Pages of `source`, whose cursors `codec` protects.
    pub fn new(source: S, codec: impl CursorCodec) -> Self {
        let resource = source.schema().layout().fingerprint();
        Self {
            source: Arc::new(source),
            codec: Arc::new(codec),
            limits: Arc::default(),
            restriction: Arc::new(Condition::always().into()),
            resource,
            scope: cursor::hash(b""),
        }
    }

    /// How much one request may ask for.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// The same rows on behalf of `scope`, a tenant or a user: cursors of one scope are refused in
    /// another.
    #[must_use]
    pub fn scoped(&self, scope: &str) -> Self {
        Self {
            scope: cursor::hash(scope.as_bytes()),
            ..self.clone()
        }
    }

    /// Only rows for which `filter` holds, whatever a request asks for. It may name any declared field.
    ///
    /// # Errors
    ///
    /// Those of a filter in a request, less the allow-list's and the limits';
    /// [`Error::OperatorNotAllowed`] still, where a part of text is looked for in another kind.
    pub fn restricted(&self, filter: &Filter) -> Result<Self, Error> {
        let layout = self.source.schema().layout();
        let added = Condition::resolve(
            layout,
            slice::from_ref(filter),
            Author::Service,
            &self.limits,
        )?;
        Ok(Self {
            restriction: Arc::new(self.restriction.condition.and(&added).into()),
            ..self.clone()
        })
    }

    /// Where the rows come from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn restriction(&self) -> &Condition {
        &self.restriction.condition
    }

    /// Checks a query without asking the source.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the query; [`Error::status`] is 400.
    pub fn check(&self, query: &PageQuery) -> Result<PageRequest, Error> {
        let checker = Checker {
            layout: self.source.schema().layout(),
            resource: self.resource,
            limits: &self.limits,
            codec: &*self.codec,
            restriction: &self.restriction,
            scope: self.scope,
        };
        checker.check(query)
    }

    /// Checks a query and fetches its page.
    ///
    /// # Errors
    ///
    /// Those of [`Paginator::check`] and [`Paginator::fetch`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    pub async fn page(&self, query: &PageQuery) -> Result<Page<S::Item>, Error> {
        self.fetch(&self.check(query)?).await
    }

    /// Fetches a page: one statement, and one more where the row that a cursor was made from is gone, so
    /// that whether rows precede has to be asked, or where rows are counted.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails, [`Error::ForeignRequest`] when the request was checked
    /// for another resource, restriction or scope.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the read and changes nothing.
    pub async fn fetch(&self, request: &PageRequest) -> Result<Page<S::Item>, Error> {
        self.fetch_as(&Whole, request).await
    }

    /// Checks a query and fetches the fields it asks for, or all declared ones, of a page's rows. A source in a
    /// database reads no other columns but those that order the rows.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_paginate::{Field, PageQuery, Paginator, Plain, Schema, SliceSource};
    ///
    /// let schema = Schema::builder("squares")
    ///     .field(Field::new("root", |n: &i64| *n).sortable())
    ///     .field(Field::new("square", |n: &i64| n * n))
    ///     .key(["root"])
    ///     .build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, vec![1, 2, 3]), Plain);
    ///
    /// let page = paginator.records(&PageQuery::parse("fields=square&sort=-root&size=1")?).await?;
    /// assert_eq!(serde_json::to_string(&page.items)?, r#"[{"square":9}]"#);
    /// assert!(page.info.next.is_some());
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
    pub async fn records(&self, query: &PageQuery) -> Result<Page<Record>, Error> {
        let request = self.check(query)?;
        let layout = self.source.schema().layout();
        let all: Vec<usize>;
        let shown = match &request.fields {
            Some(fields) => fields,
            None => {
                all = (0..layout.fields.len()).collect();
                &all
            }
        };
        let sparse = Sparse::new(layout, shown, &request.order);
        self.fetch_as(&sparse, &request).await
    }

    /// A cursor at a row that is at hand, wherever it lies among the rows of `query`: for [`PageQuery::after`] and
    /// [`PageQuery::before`], a bookmark, or the pages around a row. Where the query itself starts is of no matter.
    ///
    /// `None` where the row's sort values exceed `Limits::max_cursor`. The row need not meet the query's filters, nor
    /// exist any longer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use perf_paginate::{Field, PageQuery, Paginator, Plain, Schema, SliceSource};
    ///
    /// let schema = Schema::builder("n").field(Field::new("n", |n: &i64| *n).sortable()).key(["n"]).build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, (0..100).collect::<Vec<i64>>()), Plain);
    ///
    /// let downward = PageQuery::new().sort("-n").size(2);
    /// let here = paginator.cursor_at(&downward, &50)?.ok_or("short enough")?;
    /// let before = paginator.page(&downward.clone().before(here.clone())).await?;
    /// let after = paginator.page(&downward.after(here)).await?;
    /// assert_eq!((before.items, after.items), (vec![52, 51], vec![49, 48]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Paginator::check`].
    pub fn cursor_at(&self, query: &PageQuery, row: &S::Item) -> Result<Option<Cursor>, Error> {
        Ok(self.cursor_after(&self.check(query)?, row))
    }

    async fn fetch_as<V: View<S>>(
        &self,
        view: &V,
        request: &PageRequest,
    ) -> Result<Page<V::Row>, Error> {
        if !self.has_checked(request) {
            return Err(Error::ForeignRequest);
        }
        let stretch = self.stretch(view, request).await?;
        let total = self.total(request, &stretch).await?;
        let info = self.info(view, request, &stretch);
        Ok(Page {
            items: stretch.rows,
            info,
            total,
        })
    }

    /// Whether the request was checked here, or by a paginator that shows the same rows to the same scope.
    fn has_checked(&self, request: &PageRequest) -> bool {
        let [resource, _, _, scope] = request.bound;
        resource == self.resource
            && scope == self.scope
            && request.restriction == self.restriction.fingerprint
    }

    /// A cursor past `row`, unless its sort values exceed one.
    pub(crate) fn cursor_after(&self, request: &PageRequest, row: &S::Item) -> Option<Cursor> {
        self.cursor(&Whole, request, false, Some(row))
    }

    /// The values after which a cursor of the same request leads forward.
    pub(crate) fn place(
        &self,
        request: &PageRequest,
        cursor: &Cursor,
    ) -> Result<Vec<Value>, Error> {
        let max = self.limits.max_cursor;
        let unbound = cursor::read(&*self.codec, &request.bound, cursor, max)?;
        let layout = self.source.schema().layout();
        match unbound.place(layout, request.order.keys())? {
            Place {
                backward: false,
                values: Some(values),
            } => Ok(values),
            _ => Err(Error::ConflictingStart),
        }
    }

    async fn stretch<V: View<S>>(
        &self,
        view: &V,
        request: &PageRequest,
    ) -> Result<Stretch<V::Row>, Error> {
        let (origin, backward) = request.origin();
        let order = if backward {
            &request.order.reversed()
        } else {
            &request.order
        };
        let mut rows = self
            .rows(view, request, order, origin, request.reach())
            .await?;
        let behind = self.behind(view, request, order, &mut rows).await?;
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let ahead = rows.len() > size;
        rows.truncate(size);
        if backward {
            rows.reverse();
        }
        let (has_prev, has_next) = if backward {
            (ahead, behind)
        } else {
            (behind, ahead)
        };
        Ok(Stretch {
            rows,
            has_prev,
            has_next,
        })
    }

    /// Whether rows lie behind the origin. Takes the origin's own row off `rows`.
    async fn behind<V: View<S>>(
        &self,
        view: &V,
        request: &PageRequest,
        order: &TotalOrder,
        rows: &mut Vec<V::Row>,
    ) -> Result<bool, Error> {
        let (order, from) = match request.origin().0 {
            Origin::Beginning => return Ok(false),
            Origin::Skipping(offset) if offset == 0 || !rows.is_empty() => return Ok(offset > 0),
            Origin::Skipping(_) => (order.clone(), Origin::Beginning),
            Origin::At(position) => {
                if rows
                    .first()
                    .is_some_and(|row| self.is_at(view, order, position.values, row))
                {
                    rows.remove(0);
                    return Ok(true);
                }
                let values = position.values;
                (
                    order.reversed(),
                    Origin::At(Position {
                        values,
                        inclusive: false,
                    }),
                )
            }
        };
        let found = self.rows(view, request, &order, from, 1).await?;
        Ok(!found.is_empty())
    }

    /// Whether `row` is the one with the order's key as in `values`.
    fn is_at<V: View<S>>(
        &self,
        view: &V,
        order: &TotalOrder,
        values: &[Value],
        row: &V::Row,
    ) -> bool {
        let schema = self.source.schema();
        let mut keys = order.keys().iter().zip(values);
        keys.all(|(key, value)| {
            !schema.layout().key.contains(&key.field)
                || view.value(schema, row, key.field) == *value
        })
    }

    async fn rows<V: View<S>>(
        &self,
        view: &V,
        request: &PageRequest,
        order: &TotalOrder,
        from: Origin<'_>,
        limit: u64,
    ) -> Result<Vec<V::Row>, Error> {
        let condition = &request.condition;
        let selection = Selection {
            condition,
            order,
            from,
            limit,
        };
        view.rows(&self.source, &selection).await
    }

    async fn total<R>(&self, request: &PageRequest, stretch: &Stretch<R>) -> Result<Total, Error> {
        if let (Start::Offset(offset), false, false) =
            (&request.start, stretch.has_next, stretch.rows.is_empty())
        {
            // The last page has seen the end.
            return Ok(Total::Exact(offset.saturating_add(count_of(&stretch.rows))));
        }
        match request.count {
            CountMode::None => Ok(Total::Unknown),
            CountMode::Exact => self
                .source
                .count(&request.condition, None)
                .await
                .map(Total::Exact),
            CountMode::Capped(cap) => self.capped(request, cap).await,
            CountMode::Estimated => match self.source.estimate(&request.condition).await? {
                Some(rows) => Ok(Total::Estimated(rows)),
                None => self.capped(request, COUNT_CAP).await,
            },
        }
    }

    async fn capped(&self, request: &PageRequest, cap: u64) -> Result<Total, Error> {
        let cap = cap.min(MAX_CAP);
        let at_most = Some(cap + 1);
        let rows = self.source.count(&request.condition, at_most).await?;
        Ok(if rows > cap {
            Total::AtLeast(cap)
        } else {
            Total::Exact(rows)
        })
    }

    fn info<V: View<S>>(
        &self,
        view: &V,
        request: &PageRequest,
        stretch: &Stretch<V::Row>,
    ) -> PageInfo {
        let offset = match request.start {
            Start::Offset(offset) => Some(offset),
            Start::Place(_) => None,
        };
        let cursor = |exists: bool, backward: bool| {
            let row = if backward {
                stretch.rows.first()
            } else {
                stretch.rows.last()
            };
            exists
                .then(|| self.cursor(view, request, backward, row))
                .flatten()
        };
        PageInfo {
            size: request.size,
            offset,
            has_next: stretch.has_next,
            has_prev: stretch.has_prev,
            next: cursor(stretch.has_next, false),
            prev: cursor(stretch.has_prev, true),
        }
    }

    /// A cursor past `row`, unless its sort values exceed one. Beside an empty page lie all rows there are,
    /// so the walk back from it starts at their edge.
    fn cursor<V: View<S>>(
        &self,
        view: &V,
        request: &PageRequest,
        backward: bool,
        row: Option<&V::Row>,
    ) -> Option<Cursor> {
        let schema = self.source.schema();
        let values = row.map(|row| {
            let keys = request.order.keys().iter();
            keys.map(|key| view.value(schema, row, key.field)).collect()
        });
        let place = Place { backward, values };
        cursor::write(&*self.codec, &request.bound, &place, self.limits.max_cursor)
    }
}

/// The most rows that a statement can be told to count, less the one that tells of more.
const MAX_CAP: u64 = i64::MAX.unsigned_abs() - 1;

/// The rows of a page and what lies around them.
struct Stretch<T> {
    rows: Vec<T>,
    has_prev: bool,
    has_next: bool,
}

fn count_of<T>(rows: &[T]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}

impl<S> Clone for Paginator<S> {
    fn clone(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            codec: Arc::clone(&self.codec),
            limits: Arc::clone(&self.limits),
            restriction: Arc::clone(&self.restriction),
            resource: self.resource,
            scope: self.scope,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Paginator<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paginator")
            .field("source", &self.source)
            .field("codec", &self.codec)
            .field("limits", &self.limits)
            .field("restriction", &self.restriction.condition)
            .finish_non_exhaustive()
    }
}

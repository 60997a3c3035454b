use crate::cursor::Cursor;
use crate::filter::Filter;
use crate::order::SortKey;
use crate::page::CountMode;

/// What a client asks for, unchecked.
///
/// Without a sort, rows come by the resource's key. `page`, `offset`, `cursor` and `last` exclude each
/// other; with none of them, the first page is meant.
///
/// ```
/// use perf_paginate::{Filter, PageQuery};
///
/// let query = PageQuery::new().sort("-dep_delay,carrier").filter(Filter::eq("origin", "JFK")).size(50);
/// assert_ne!(query, query.clone().page(2));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageQuery {
    pub(crate) sort: Vec<SortKey>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) size: Option<u64>,
    pub(crate) page: Option<u64>,
    pub(crate) offset: Option<u64>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) last: bool,
    pub(crate) count: Option<CountMode>,
}

impl PageQuery {
    /// The first page of everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sorts by fields parted by commas, each descending behind a `-`. Replaces an earlier sort.
    #[must_use]
    pub fn sort(self, fields: &str) -> Self {
        self.sort_by(fields.split(',').map(|field| SortKey::parse(field.trim())))
    }

    /// Sorts by these keys. Replaces an earlier sort.
    #[must_use]
    pub fn sort_by(mut self, keys: impl IntoIterator<Item = SortKey>) -> Self {
        self.sort = keys.into_iter().collect();
        self
    }

    /// Keeps only rows for which `filter` holds, besides every other filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// The number of rows on a page. More than the service allows becomes what it allows.
    #[must_use]
    pub const fn size(mut self, rows: u64) -> Self {
        self.size = Some(rows);
        self
    }

    /// Starts at this page, counted from 1.
    #[must_use]
    pub const fn page(mut self, number: u64) -> Self {
        self.page = Some(number);
        self
    }

    /// Starts after this many rows.
    #[must_use]
    pub const fn offset(mut self, rows: u64) -> Self {
        self.offset = Some(rows);
        self
    }

    /// Starts where `cursor` leads. Sort and filters must be those it was made with.
    #[must_use]
    pub fn cursor(mut self, cursor: impl Into<Cursor>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// The last page: as many of the last rows as a page holds.
    #[must_use]
    pub const fn last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Whether rows are counted; by default up to 10,000 on offset pages and not at all otherwise.
    #[must_use]
    pub const fn count(mut self, mode: CountMode) -> Self {
        self.count = Some(mode);
        self
    }
}

mod parameters;

use crate::cursor::Cursor;
use crate::error::Error;
use crate::filter::Filter;
use crate::order::SortKey;
use crate::page::CountMode;
use parameters::{Parameters, wrong};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

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
    /// Where a cursor leads, whatever it was made for: backward, or forward.
    pub(crate) backward: Option<bool>,
    pub(crate) last: bool,
    pub(crate) count: Option<CountMode>,
    pub(crate) fields: Option<Vec<Cow<'static, str>>>,
}

impl PageQuery {
    /// The first page of everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a URL's query string.
    ///
    /// | parameter | meaning |
    /// |---|---|
    /// | `page=2`, or `offset=40`, or `cursor=…` | where to start |
    /// | `size=20`, or `per_page`, or `limit` | rows on a page |
    /// | `sort=-created_at,name` | as [`SortKey::parse`], in sequence |
    /// | `sort_by=name&sort_order=desc` | the same in other words |
    /// | `filter[origin]=JFK`, `filter[delay][gte]=60` | conditions, which must all hold |
    /// | `filter[origin][in]=JFK,EWR` | one of a list |
    /// | `fields=name,created_at` | what [`Paginator::records`](crate::Paginator::records) shows of a row |
    /// | `filters={"delay": {"operator": "gte", "value": 60}}` | the same as JSON |
    ///
    /// Other parameters are the application's own and are ignored.
    ///
    /// # Errors
    ///
    /// A parameter that cannot be read, or is there twice; [`Error::status`] is 400.
    ///
    /// ```
    /// use perf_paginate::{Filter, PageQuery};
    ///
    /// let query = PageQuery::parse("sort=-dep_delay&filter[origin]=JFK&size=50&theme=dark")?;
    /// assert_eq!(query, PageQuery::new().sort("-dep_delay").filter(Filter::eq("origin", "JFK")).size(50));
    /// assert!(PageQuery::parse("size=many").is_err());
    /// # Ok::<(), perf_paginate::Error>(())
    /// ```
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut parameters = Parameters::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            match name.strip_prefix("filter[") {
                Some(rest) => {
                    let (field, operator) = bracketed(rest).ok_or_else(|| malformed(&name))?;
                    parameters.filter(field, operator, &value)?;
                }
                None if name == "filter" => return Err(malformed(&name)),
                None => parameters.text(&name, &value)?,
            }
        }
        parameters.finish()
    }

    /// Reads a JSON object with the parameters of [`PageQuery::parse`], `filters` as an object.
    ///
    /// # Errors
    ///
    /// As [`PageQuery::parse`].
    ///
    /// ```
    /// use perf_paginate::{Filter, PageQuery};
    ///
    /// let late = r#"{"size": 5, "filters": {"delay": {"operator": "gte", "value": 60}}}"#;
    /// let query = PageQuery::from_json(late)?;
    /// assert_eq!(query, PageQuery::new().size(5).filter(Filter::gte("delay", 60_i64)));
    /// # Ok::<(), perf_paginate::Error>(())
    /// ```
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let json: serde_json::Value =
            serde_json::from_str(json).map_err(|_| wrong("request", "a JSON object"))?;
        let object = json
            .as_object()
            .ok_or_else(|| wrong("request", "a JSON object"))?;
        let mut parameters = Parameters::default();
        for (name, value) in object {
            parameters.json(name, value)?;
        }
        parameters.finish()
    }

    /// Sorts by fields parted by commas, each as [`SortKey::parse`] reads it. Replaces an earlier sort.
    #[must_use]
    pub fn sort(self, fields: &str) -> Self {
        self.sort_by(parameters::keys(fields))
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
        self.backward = None;
        self
    }

    /// Starts after the row of `cursor`, whichever way the cursor led.
    #[must_use]
    pub fn after(self, cursor: impl Into<Cursor>) -> Self {
        Self {
            backward: Some(false),
            ..self.cursor(cursor)
        }
    }

    /// Ends before the row of `cursor`, whichever way the cursor led.
    #[must_use]
    pub fn before(self, cursor: impl Into<Cursor>) -> Self {
        Self {
            backward: Some(true),
            ..self.cursor(cursor)
        }
    }

    /// The last page: as many of the last rows as a page holds.
    #[must_use]
    pub const fn last(mut self) -> Self {
        self.last = true;
        self
    }

    /// What [`Paginator::records`](crate::Paginator::records) shows of a row: these fields, in this order.
    #[must_use]
    pub fn fields<N: Into<Cow<'static, str>>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.fields = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Whether rows are counted; by default up to 10,000 on offset pages and not at all otherwise.
    #[must_use]
    pub const fn count(mut self, mode: CountMode) -> Self {
        self.count = Some(mode);
        self
    }
}

/// `field]` or `field][operator]`.
fn bracketed(rest: &str) -> Option<(&str, &str)> {
    let inside = rest.strip_suffix(']')?;
    let (field, operator) = inside.split_once("][").unwrap_or((inside, "eq"));
    let plain = |part: &str| !part.is_empty() && !part.contains(['[', ']']);
    (plain(field) && plain(operator)).then_some((field, operator))
}

fn malformed(name: &str) -> Error {
    wrong(name, "the form filter[field] or filter[field][operator]")
}

fn decoded(text: &str) -> Result<String, Error> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| wrong("query string", "UTF-8"))
}

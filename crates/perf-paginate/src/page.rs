use crate::cursor::Cursor;

/// Some consecutive rows and where they stand among all.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The rows, in the requested order, whichever way the walk goes.
    pub items: Vec<T>,
    /// What lies before and after.
    #[serde(rename = "page_info")]
    pub info: PageInfo,
    /// How many rows there are on all pages.
    pub total: Total,
}

/// What lies before and after a page. All of it was seen in the database, none of it assumed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PageInfo {
    /// Most rows the page could have held.
    pub size: u32,
    /// Rows before the page, where it was asked for by number or offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Whether rows follow.
    pub has_next: bool,
    /// Whether rows precede.
    pub has_prev: bool,
    /// Leads to the page that follows, if one does.
    ///
    /// `None` beside a true `has_next`: the last row's sort values exceed `Limits::max_cursor`. A page of another
    /// size ends at another row; `Paginator::items` and pages by offset need no cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// Leads to the page that precedes, if one does; as `next`, with the first row's sort values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev: Option<Cursor>,
}

/// How many rows there are, and how well that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "rows")]
#[non_exhaustive]
pub enum Total {
    /// Counted.
    Exact(u64),
    /// Counting stopped here.
    AtLeast(u64),
    /// What the database's planner expects, from its statistics.
    Estimated(u64),
    /// Not counted.
    #[default]
    Unknown,
}

/// Whether and how far rows are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CountMode {
    /// Not at all: the page costs one statement.
    None,
    /// All of them, whatever it takes.
    Exact,
    /// Up to this many, so that the cost has a bound.
    Capped(u64),
    /// Not counted but estimated by PostgreSQL's, MySQL's or MariaDB's planner, from statistics that no row is read
    /// for. Where nothing estimates, as `Capped(10_000)`.
    ///
    /// PostgreSQL's estimate is as good as its last `ANALYZE`. MariaDB's and MySQL's may be off by half even on
    /// a fresh table: show it as "about", never compute with it.
    Estimated,
}

impl<T> Page<T> {
    /// The page with every item changed by `change`, into what a response shows for instance.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(change).collect(),
            info: self.info,
            total: self.total,
        }
    }
}

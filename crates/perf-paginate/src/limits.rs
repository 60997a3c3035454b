/// How much one request may ask for.
///
/// ```
/// use perf_paginate::Limits;
///
/// let limits = Limits { max_size: 500, ..Limits::default() };
/// assert_eq!((limits.default_size, limits.max_offset), (20, 10_000));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "made to be written with `..Limits::default()`"
)]
pub struct Limits {
    /// Rows on a page when the request does not say: 20.
    pub default_size: u32,
    /// Most rows on a page: 100. A request for more gets this many.
    pub max_size: u32,
    /// Deepest row an offset page may start at: 10,000. A cursor reaches any depth.
    pub max_offset: u64,
    /// Most sort keys, the resource's key not counted: 4.
    pub max_sort_keys: usize,
    /// Most comparisons in a filter: 20.
    pub max_conditions: usize,
    /// Deepest nesting of a filter: 4.
    pub max_filter_depth: usize,
    /// Most items of a list in a filter: 100.
    pub max_list: usize,
    /// Most groups of an aggregation: 1,000.
    pub max_groups: usize,
    /// Longest text or bytes in a filter, in bytes: 1,000. Databases refuse patterns far longer.
    pub max_value: usize,
    /// Longest cursor, in characters: 1,024. A longer one is refused, and not made:
    /// [`PageInfo::next`](crate::PageInfo::next) is then `None`.
    pub max_cursor: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_size: 20,
            max_size: 100,
            max_offset: 10_000,
            max_sort_keys: 4,
            max_conditions: 20,
            max_filter_depth: 4,
            max_list: 100,
            max_groups: 1_000,
            max_value: 1_000,
            max_cursor: 1_024,
        }
    }
}

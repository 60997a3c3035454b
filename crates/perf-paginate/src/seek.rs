//! The seek planner: where in an index a page starts, as the database at hand can find it.
//!
//! "The rows after this one" can be written in several ways that mean the same and cost between twenty
//! and a hundred thousand rows. Rows examined for twenty rows in the middle of 200,000, index on the sort:
//!
//! | form | PostgreSQL | MariaDB | SQLite (steps) |
//! |---|---|---|---|
//! | `(a, b) > (x, y)` | **20** | 100,465 | **273** |
//! | `a > x OR (a = x AND b > y)` | 100,445 | **21** | 705,217 |
//! | `a >= x AND (…the same…)` | 508 | **21** | 5,659 |
//! | mixed directions, one branch per prefix | **21** | 510 | **1,090** |
//!
//! No form wins everywhere, so a [`SeekForm`] is chosen per database. What follows a position is cut into
//! [`Segment`]s: disjoint stretches of rows, each one index range, which in sequence are the rest of the
//! walk. A nullable sort key adds a segment for its NULLs instead of an `OR … IS NULL`, which no planner
//! seeks; so either placement of NULLs works from a plain index, for the first key. A later key's NULLs are
//! cut off only in the group that the position lies in. The groups after it are one segment, since there may
//! be any number of them, so there the index has to say where the NULLs are.
//!
//! Each segment costs a descent into the index. Where PostgreSQL's index has the NULLs of the second key as the order wants
//! them, it takes one less: `(a, b) > (x, y)` finds the rest of the group and the groups after it, and misses only
//! `a = x AND b IS NULL` in between, which is merged into it. Buffers for twenty rows of a million that cross from one
//! group of five into the next: 28, against 31 in three segments.

use crate::order::{OrderKey, TotalOrder};
use crate::source::Position;
use crate::value::Value;
use perf_core::Dialect;

/// How "the rows after this one" is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SeekForm {
    /// Row values for each run of keys in one direction, a branch per run: PostgreSQL and SQLite.
    RowValue,
    /// One disjunction behind a guard on its first key, in any mix of directions: MySQL and MariaDB.
    GuardedOr,
    /// One branch per key, for databases that seek into neither.
    Segments,
}

impl SeekForm {
    /// The form that costs least on a database.
    #[must_use]
    pub const fn of(dialect: Dialect) -> Self {
        if dialect.seeks_row_values() {
            Self::RowValue
        } else {
            Self::GuardedOr
        }
    }
}

/// A stretch of rows that one index range holds, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    /// Values of the order's first keys, which all rows share.
    pub(crate) fixed: Vec<Value>,
    /// What holds for the keys after those.
    pub(crate) range: Range,
}

/// What limits a segment beyond its shared values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Range {
    /// Nothing.
    Whole,
    /// The next key is not NULL.
    NotNull,
    /// The next keys come after these values.
    After {
        values: Vec<Value>,
        form: SeekForm,
        inclusive: bool,
        /// Rows that lie among these, and that no comparison finds, since their second key is NULL.
        missed: Option<Missed>,
    },
}

/// Rows with a first key, without a second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Missed {
    pub(crate) first: Value,
}

/// How a database is to be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) form: SeekForm,
    /// Where the database puts NULLs in ascending order by itself.
    pub(crate) nulls_last: bool,
    /// Whether it merges two ordered ranges of an index that begins with the order's first key.
    pub(crate) merges: bool,
}

/// Cuts the rows of `order`, from `position` on, into segments.
pub(crate) fn plan(
    order: &TotalOrder,
    position: Option<Position<'_>>,
    manner: Manner,
) -> Vec<Segment> {
    let planner = Planner {
        keys: order.keys(),
        form: manner.form,
        nulls_last: manner.nulls_last,
        merges: manner.merges,
    };
    let mut segments = Vec::new();
    match position {
        Some(position) => planner.after(position, 0, &mut segments),
        None => planner.whole(Vec::new(), &mut segments),
    }
    segments
}

struct Planner<'a> {
    keys: &'a [OrderKey],
    form: SeekForm,
    nulls_last: bool,
    merges: bool,
}

impl Planner<'_> {
    /// Every row that shares `fixed`.
    fn whole(&self, fixed: Vec<Value>, segments: &mut Vec<Segment>) {
        let key = self.keys[fixed.len()];
        if !key.nullable || key.is_natural(self.nulls_last) {
            segments.push(Segment {
                fixed,
                range: Range::Whole,
            });
            return;
        }
        let values = Segment {
            fixed: fixed.clone(),
            range: Range::NotNull,
        };
        if key.nulls_first {
            self.nulls(fixed, segments);
            segments.push(values);
        } else {
            segments.push(values);
            self.nulls(fixed, segments);
        }
    }

    /// Every row that shares `fixed` and is NULL in the next key.
    fn nulls(&self, mut fixed: Vec<Value>, segments: &mut Vec<Segment>) {
        fixed.push(Value::Null);
        self.whole(fixed, segments);
    }

    /// Every row after `position` that shares its first `shared` values.
    fn after(&self, position: Position<'_>, shared: usize, segments: &mut Vec<Segment>) {
        let fixed = position.values[..shared].to_vec();
        let key = self.keys[shared];
        if position.values[shared].is_null() {
            self.after(position, shared + 1, segments);
            if key.nulls_first {
                segments.push(Segment {
                    fixed,
                    range: Range::NotNull,
                });
            }
            return;
        }
        let missed = self.missed(shared, position.values);
        let end = match missed {
            Some(_) => self.keys.len(),
            None => self.run_end(shared, position.values),
        };
        let last = end == self.keys.len();
        if !last {
            self.after(position, end, segments);
        }
        let values = position.values[shared..end].to_vec();
        let inclusive = last && position.inclusive;
        let range = Range::After {
            values,
            form: self.form,
            inclusive,
            missed,
        };
        segments.push(Segment {
            fixed: fixed.clone(),
            range,
        });
        if key.nullable && !key.nulls_first {
            self.nulls(fixed, segments);
        }
    }

    /// What one comparison of all keys misses, if it is one range of the index otherwise.
    fn missed(&self, shared: usize, values: &[Value]) -> Option<Missed> {
        let [first, second, rest @ ..] = self.keys else {
            return None;
        };
        let is_range = self.merges
            && shared == 0
            && (second.nullable && !second.nulls_first && !values[1].is_null())
            && [first, second]
                .iter()
                .all(|key| key.is_natural(self.nulls_last))
            && second.descending == first.descending
            && rest
                .iter()
                .all(|key| !key.nullable && key.descending == first.descending);
        is_range.then(|| Missed {
            first: values[0].clone(),
        })
    }

    /// The end of the keys from `start` on that one comparison can cover. Only the first may be
    /// nullable: a comparison of row values is unknown as soon as it meets a NULL.
    fn run_end(&self, start: usize, values: &[Value]) -> usize {
        let first = self.keys[start];
        let joins = |key: &OrderKey| match self.form {
            SeekForm::RowValue => !key.nullable && key.descending == first.descending,
            SeekForm::GuardedOr => !key.nullable,
            SeekForm::Segments => false,
        };
        let more = self.keys[start + 1..values.len()]
            .iter()
            .take_while(|key| joins(key));
        start + 1 + more.count()
    }
}

impl OrderKey {
    /// Whether the database puts this key's NULLs where the order wants them without being told.
    pub(crate) const fn is_natural(self, nulls_last: bool) -> bool {
        !self.nullable || self.nulls_first != (nulls_last != self.descending)
    }
}

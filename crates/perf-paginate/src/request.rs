//! A query that has been checked in full. No database has been asked until here.

use crate::condition::{Author, Condition};
use crate::cursor::{self, Bound, CursorCodec, Place};
use crate::error::Error;
use crate::limits::Limits;
use crate::order::TotalOrder;
use crate::page::CountMode;
use crate::query::PageQuery;
use crate::schema::Layout;
use crate::source::{Origin, Position, Selection};
use crate::value::Value;

/// A checked [`PageQuery`], ready to be fetched any number of times.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRequest {
    pub(crate) order: TotalOrder,
    pub(crate) condition: Condition,
    pub(crate) start: Start,
    pub(crate) size: u32,
    /// What is shown of a row; everything where nothing is said.
    pub(crate) fields: Option<Vec<usize>>,
    pub(crate) count: CountMode,
    pub(crate) bound: Bound,
    /// The restriction that the condition includes, by its fingerprint.
    pub(crate) restriction: [u8; 8],
}

/// Where a page starts, or ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Start {
    Offset(u64),
    Place(Place),
}

impl PageRequest {
    /// Most rows on the page.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Where the page starts, and whether that is its far end.
    pub(crate) fn origin(&self) -> (Origin<'_>, bool) {
        match &self.start {
            Start::Offset(offset) => (Origin::Skipping(*offset), false),
            Start::Place(Place {
                backward,
                values: None,
            }) => (Origin::Beginning, *backward),
            Start::Place(Place {
                backward,
                values: Some(values),
            }) => (
                Origin::At(Position {
                    values,
                    inclusive: true,
                }),
                *backward,
            ),
        }
    }

    /// How many rows are read for the page: one beyond it tells whether more follow; the row that a
    /// cursor was made from, read again, tells that something precedes.
    pub(crate) fn reach(&self) -> u64 {
        let extra = if matches!(self.origin().0, Origin::At(_)) {
            2
        } else {
            1
        };
        u64::from(self.size) + extra
    }

    /// The rows that follow `place` in the order, without what precedes.
    pub(crate) fn following<'a>(&'a self, place: Option<&'a [Value]>, limit: u64) -> Selection<'a> {
        Selection {
            condition: &self.condition,
            order: &self.order,
            from: place.map_or(Origin::Beginning, Origin::after),
            limit,
        }
    }

    /// The order of rows.
    #[must_use]
    pub const fn order(&self) -> &TotalOrder {
        &self.order
    }

    /// Which rows there are.
    #[must_use]
    pub const fn condition(&self) -> &Condition {
        &self.condition
    }
}

/// What a query is checked against.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) resource: [u8; 8],
    pub(crate) limits: &'a Limits,
    pub(crate) codec: &'a dyn CursorCodec,
    pub(crate) restriction: &'a Restriction,
    pub(crate) scope: [u8; 8],
}

/// What a service adds to every request, and its fingerprint, which each page needs twice.
#[derive(Debug)]
pub(crate) struct Restriction {
    pub(crate) condition: Condition,
    pub(crate) fingerprint: [u8; 8],
}

impl From<Condition> for Restriction {
    fn from(condition: Condition) -> Self {
        Self {
            fingerprint: condition.fingerprint(),
            condition,
        }
    }
}

/// How far an offset page counts unless told otherwise.
pub(crate) const COUNT_CAP: u64 = 10_000;

impl Checker<'_> {
    pub(crate) fn check(&self, query: &PageQuery) -> Result<PageRequest, Error> {
        let order = TotalOrder::resolve(self.layout, &query.sort, self.limits.max_sort_keys)?;
        let (condition, filter) = self.condition(query)?;
        let size = self.size(query)?;
        let bound = [self.resource, order.fingerprint(), filter, self.scope];
        let start = self.start(query, size, &bound, &order)?;
        let by_offset = query.page.is_some() || query.offset.is_some();
        let default = if by_offset {
            CountMode::Capped(COUNT_CAP)
        } else {
            CountMode::None
        };
        let count = query.count.unwrap_or(default);
        Ok(PageRequest {
            order,
            condition,
            start,
            size,
            fields: self.fields(query)?,
            count,
            bound,
            restriction: self.restriction.fingerprint,
        })
    }

    /// Which rows there are, and the fingerprint of that.
    fn condition(&self, query: &PageQuery) -> Result<(Condition, [u8; 8]), Error> {
        let Restriction {
            condition,
            fingerprint,
        } = self.restriction;
        if query.filters.is_empty() {
            return Ok((condition.clone(), *fingerprint));
        }
        let asked = Condition::resolve(self.layout, &query.filters, Author::Client, self.limits)?;
        let condition = condition.and(&asked);
        let fingerprint = condition.fingerprint();
        Ok((condition, fingerprint))
    }

    fn fields(&self, query: &PageQuery) -> Result<Option<Vec<usize>>, Error> {
        let Some(names) = &query.fields else {
            return Ok(None);
        };
        let mut fields = Vec::with_capacity(names.len().min(self.layout.fields.len()));
        for name in names {
            let field = self.layout.find(name)?;
            if fields.contains(&field) {
                return Err(Error::RepeatedField {
                    field: name.to_string(),
                });
            }
            fields.push(field);
        }
        Ok(Some(fields))
    }

    fn size(&self, query: &PageQuery) -> Result<u32, Error> {
        let max = self.limits.max_size.max(1);
        match query.size {
            None => Ok(self.limits.default_size.clamp(1, max)),
            Some(0) => Err(Error::LimitOutOfRange {
                parameter: "size",
                min: 1,
                max: max.into(),
            }),
            Some(size) => Ok(u32::try_from(size).map_or(max, |size| size.min(max))),
        }
    }

    fn start(
        &self,
        query: &PageQuery,
        size: u32,
        bound: &Bound,
        order: &TotalOrder,
    ) -> Result<Start, Error> {
        let edge = |backward| {
            Start::Place(Place {
                backward,
                values: None,
            })
        };
        match (query.page, query.offset, &query.cursor, query.last) {
            (None, None, None, last) => Ok(edge(last)),
            (Some(0), None, None, false) => {
                let max = self.limits.max_offset / u64::from(size) + 1;
                Err(Error::LimitOutOfRange {
                    parameter: "page",
                    min: 1,
                    max,
                })
            }
            (Some(page), None, None, false) => self
                .offset((page - 1).saturating_mul(size.into()))
                .map(Start::Offset),
            (None, Some(offset), None, false) => self.offset(offset).map(Start::Offset),
            (None, None, Some(cursor), false) => {
                let unbound = cursor::read(self.codec, bound, cursor, self.limits.max_cursor)?;
                let mut place = unbound.place(self.layout, order.keys())?;
                place.backward = query.backward.unwrap_or(place.backward);
                Ok(Start::Place(place))
            }
            _ => Err(Error::ConflictingStart),
        }
    }

    const fn offset(&self, offset: u64) -> Result<u64, Error> {
        if offset > self.limits.max_offset {
            return Err(Error::OffsetTooDeep {
                max: self.limits.max_offset,
            });
        }
        Ok(offset)
    }
}

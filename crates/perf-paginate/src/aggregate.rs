//! Figures of all rows that meet a condition, computed where the rows are.

use crate::condition::{Author, Condition};
use crate::error::Error;
use crate::filter::Filter;
use crate::paginator::Paginator;
use crate::query::PageQuery;
use crate::schema::Layout;
use crate::source::PageSource;
use crate::value::{Kind, Value};
use async_trait::async_trait;
use std::borrow::Cow;
use std::fmt;

/// How the values of a field become one. NULLs are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// Their sum: a decimal for integers and decimals, exact; a floating-point number for others.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Their mean, as a floating-point number.
    Avg,
}

impl Measure {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
        }
    }

    /// Whether every database can do so with values of this kind.
    const fn suits(self, kind: Kind) -> bool {
        match kind {
            Kind::Int | Kind::UInt | Kind::Float | Kind::Decimal => true,
            Kind::Text | Kind::Timestamp => matches!(self, Self::Min | Self::Max),
            Kind::Bool | Kind::Bytes | Kind::Uuid => false,
        }
    }

    /// What the result is.
    pub(crate) const fn kind(self, of: Kind) -> Kind {
        match (self, of) {
            (Self::Min | Self::Max, kind) => kind,
            (Self::Sum, Kind::Int | Kind::UInt | Kind::Decimal) => Kind::Decimal,
            (Self::Sum | Self::Avg, _) => Kind::Float,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which figures a client asks for, unchecked. How many rows there are is always among the answers.
///
/// ```
/// use perf_paginate::{AggregateQuery, Filter, Measure};
///
/// let query = AggregateQuery::new()
///     .measure(Measure::Avg, "dep_delay")
///     .measure(Measure::Max, "dep_delay")
///     .group_by("carrier")
///     .filter(Filter::eq("origin", "JFK"));
/// assert_ne!(query, AggregateQuery::new());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AggregateQuery {
    filters: Vec<Filter>,
    measures: Vec<(Measure, Cow<'static, str>)>,
    group: Option<Cow<'static, str>>,
}

impl AggregateQuery {
    /// The number of all rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the rows that a page's query means, on all pages: its filters, whatever else it says.
    ///
    /// ```
    /// use perf_paginate::{AggregateQuery, Filter, Measure, PageQuery};
    ///
    /// let shown = PageQuery::parse("filter[origin]=JFK&sort=-delay&page=3")?;
    /// let figures = AggregateQuery::of(&shown).measure(Measure::Avg, "delay");
    /// let same = AggregateQuery::new().filter(Filter::eq("origin", "JFK"));
    /// assert_eq!(figures, same.measure(Measure::Avg, "delay"));
    /// # Ok::<(), perf_paginate::Error>(())
    /// ```
    #[must_use]
    pub fn of(query: &PageQuery) -> Self {
        Self {
            filters: query.filters.clone(),
            ..Self::default()
        }
    }

    /// Adds a figure of a field, behind those added before.
    #[must_use]
    pub fn measure(mut self, measure: Measure, field: impl Into<Cow<'static, str>>) -> Self {
        self.measures.push((measure, field.into()));
        self
    }

    /// Figures for each value of a field, instead of all rows together.
    #[must_use]
    pub fn group_by(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.group = Some(field.into());
        self
    }

    /// Keeps only rows for which `filter` holds, besides every other filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }
}

/// Figures that a source is asked for; checked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Aggregation<'a> {
    /// Which rows.
    pub condition: &'a Condition,
    /// What of which fields, by their places in the schema.
    pub measures: &'a [(Measure, usize)],
    /// The field, by its place, whose values part the rows.
    pub group: Option<usize>,
    /// The most groups to answer with.
    pub limit: u64,
}

/// The figures of one group, or of all rows.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Group {
    /// What its rows share; NULL where nothing parts them, too.
    pub key: Value,
    /// How many rows it has.
    pub rows: u64,
    /// What was measured, in the order of the query. NULL where no row has a value.
    pub values: Vec<Value>,
}

impl Group {
    /// The figures of `rows` rows that share `key`.
    #[must_use]
    pub const fn new(key: Value, rows: u64, values: Vec<Value>) -> Self {
        Self { key, rows, values }
    }
}

/// A source that computes figures of its rows.
#[async_trait]
pub trait AggregateSource: PageSource {
    /// The groups of an aggregation, in any order; one group where nothing parts the rows.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the computation and changes nothing.
    async fn aggregate(&self, aggregation: &Aggregation<'_>) -> Result<Vec<Group>, Error>;
}

impl<S: AggregateSource> Paginator<S> {
    /// Checks a query for figures and has the source compute them, in one statement. Groups are sorted by their keys,
    /// NULL last.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), perf_paginate::Error> {
    /// use perf_paginate::{AggregateQuery, Field, Measure, Paginator, Plain, Schema, SliceSource, Value};
    ///
    /// let schema = Schema::builder("n")
    ///     .field(Field::new("n", |n: &i64| *n).aggregatable())
    ///     .field(Field::new("odd", |n: &i64| n % 2 == 1).aggregatable())
    ///     .key(["n"])
    ///     .build()?;
    /// let paginator = Paginator::new(SliceSource::new(schema, vec![1, 2, 3]), Plain);
    /// let query = AggregateQuery::new().measure(Measure::Max, "n").group_by("odd");
    /// let groups = paginator.aggregate(&query).await?;
    /// assert_eq!((groups[1].rows, &groups[1].values[0]), (2, &Value::from(3_i64)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotAggregatable`] and those of a filter, with status 400; [`Error::TooComplex`] for more than
    /// `Limits::max_groups` groups; [`Error::Backend`] when the source fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the computation and changes nothing.
    pub async fn aggregate(&self, query: &AggregateQuery) -> Result<Vec<Group>, Error> {
        let layout = self.source().schema().layout();
        let limits = self.limits();
        if query.measures.len() > limits.max_conditions {
            return Err(Error::TooComplex {
                what: "measures",
                max: limits.max_conditions,
            });
        }
        let measures = query.measures.iter();
        let measures = measures
            .map(|(measure, field)| Ok((*measure, measured(layout, field, *measure)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let group = query.group.as_deref();
        let group = group.map(|field| aggregatable(layout, field, "group_by"));
        let asked = Condition::resolve(layout, &query.filters, Author::Client, limits)?;
        let max = limits.max_groups;
        let aggregation = Aggregation {
            condition: &self.restriction().and(&asked),
            measures: &measures,
            group: group.transpose()?,
            limit: u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1),
        };
        let mut groups = self.source().aggregate(&aggregation).await?;
        if groups.len() > max {
            return Err(Error::TooComplex {
                what: "groups",
                max,
            });
        }
        groups.sort_by(|a, b| {
            let nulls = a.key.is_null().cmp(&b.key.is_null());
            nulls.then_with(|| a.key.compare(&b.key).unwrap_or(std::cmp::Ordering::Equal))
        });
        Ok(groups)
    }
}

fn measured(layout: &Layout, field: &str, measure: Measure) -> Result<usize, Error> {
    let place = aggregatable(layout, field, measure.name())?;
    if measure.suits(layout.kind(place)) {
        return Ok(place);
    }
    Err(Error::NotAggregatable {
        field: field.to_owned(),
        measure: measure.name(),
    })
}

fn aggregatable(layout: &Layout, field: &str, measure: &'static str) -> Result<usize, Error> {
    let place = layout.find(field)?;
    let column = &layout.fields[place];
    // Groups of inexact keys have no meaning.
    let is_exact = column.kind != Kind::Float || measure != "group_by";
    if column.aggregatable && is_exact {
        return Ok(place);
    }
    Err(Error::NotAggregatable {
        field: field.to_owned(),
        measure,
    })
}

//! One case, walked in every way.

use super::case::Case;
use super::{Row, oracle};
use crate::{Limits, Page, PageQuery, PageSource, Paginator, Signed};
use futures_util::TryStreamExt as _;
use std::fmt;

/// How a walk can fail.
pub(super) type Failure = String;

pub(super) async fn check<S: PageSource>(
    source: S,
    case: &Case,
    read: &impl Fn(&S::Item) -> Row,
) -> Result<(), Failure> {
    let signed = Signed::new(&[7; Signed::MIN_KEY]).map_err(failure)?;
    let limits = Limits {
        max_filter_depth: 9,
        ..Limits::default()
    };
    let sort = case.sort.iter().cloned();
    let query = PageQuery::new().sort_by(sort).size(case.size);
    let walk = Walk {
        paginator: Paginator::new(source, signed).with_limits(limits),
        query: case.filter.iter().cloned().fold(query, PageQuery::filter),
        expected: oracle::expected(case),
        read,
    };
    walk.forward().await?;
    walk.backward().await?;
    walk.to_and_fro(&case.moves).await?;
    walk.streamed().await?;
    walk.at_offset().await
}

struct Walk<'a, S, R> {
    paginator: Paginator<S>,
    query: PageQuery,
    expected: Vec<Row>,
    read: &'a R,
}

impl<S: PageSource, R: Fn(&S::Item) -> Row> Walk<'_, S, R> {
    async fn forward(&self) -> Result<(), Failure> {
        let mut query = self.query.clone();
        let mut start = 0;
        loop {
            let page = self.page(&query).await?;
            start = self.compare("forward", &page, start)?;
            let Some(next) = page.info.next else { break };
            query = self.query.clone().cursor(next);
        }
        same("rows forward", &start, &self.expected.len())
    }

    async fn backward(&self) -> Result<(), Failure> {
        let mut query = self.query.clone().last();
        let mut start = self.expected.len();
        loop {
            let page = self.page(&query).await?;
            start = start.saturating_sub(page.items.len());
            self.compare("backward", &page, start)?;
            let Some(prev) = page.info.prev else { break };
            query = self.query.clone().cursor(prev);
        }
        same("rows left backward", &start, &0)
    }

    /// The walk's place in the expected rows is known at every step.
    async fn to_and_fro(&self, moves: &[bool]) -> Result<(), Failure> {
        let mut start = 0;
        let mut page = self.page(&self.query).await?;
        for forward in moves {
            let cursor = if *forward {
                page.info.next.clone()
            } else {
                page.info.prev.clone()
            };
            let Some(cursor) = cursor else { continue };
            let shown = page.items.len();
            page = self.page(&self.query.clone().cursor(cursor)).await?;
            start = if *forward {
                start + shown
            } else {
                start.saturating_sub(page.items.len())
            };
            self.compare("to and fro", &page, start)?;
        }
        Ok(())
    }

    async fn streamed(&self) -> Result<(), Failure> {
        let items = self.paginator.items(&self.query).map_err(failure)?;
        let items: Vec<S::Item> = items.try_collect().await.map_err(failure)?;
        same("streamed", &self.rows(&items), &self.expected)
    }

    async fn at_offset(&self) -> Result<(), Failure> {
        let offset = self.expected.len() / 2;
        let query = self
            .query
            .clone()
            .offset(u64::try_from(offset).map_err(failure)?);
        let page = self.page(&query).await?;
        self.compare("at an offset", &page, offset)?;
        Ok(())
    }

    async fn page(&self, query: &PageQuery) -> Result<Page<S::Item>, Failure> {
        self.paginator.page(query).await.map_err(failure)
    }

    /// The page is the expected rows from `start` on; returns where it ends.
    fn compare(&self, walk: &str, page: &Page<S::Item>, start: usize) -> Result<usize, Failure> {
        let end = start + page.items.len();
        let rows = self.rows(&page.items);
        let info = &page.info;
        same(walk, &Some(rows.as_slice()), &self.expected.get(start..end))?;
        let before = start > 0 && !self.expected.is_empty();
        same("has_prev", &info.has_prev, &before)?;
        same("has_next", &info.has_next, &(end < self.expected.len()))?;
        same("a cursor forward", &info.next.is_some(), &info.has_next)?;
        same("a cursor backward", &info.prev.is_some(), &info.has_prev)?;
        Ok(end)
    }

    fn rows(&self, items: &[S::Item]) -> Vec<Row> {
        items.iter().map(self.read).collect()
    }
}

fn same<T: PartialEq + fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: found {found:?} instead of {expected:?}"))
}

fn failure(error: impl fmt::Display) -> Failure {
    error.to_string()
}
